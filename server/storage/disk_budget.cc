#include "server/storage/disk_budget.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"

namespace polyak::storage {
namespace {

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.4g MB", static_cast<double>(bytes) / 1e6);
}

}  // namespace

class DiskBudget::BudgetedFile : public base::File {
 public:
  BudgetedFile(DiskBudget& budget, std::unique_ptr<base::File> file,
               std::shared_ptr<Counted> counted)
      : budget_(budget), file_(std::move(file)), counted_(std::move(counted)) {}

  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    return file_->Read(offset, out);
  }
  absl::Status Write(int64_t offset, std::string_view data) override {
    return budget_.Write(*file_, *counted_, offset, data);
  }
  absl::Status Sync() override { return file_->Sync(); }
  absl::Status Truncate(int64_t size) override { return budget_.Truncate(*file_, *counted_, size); }
  absl::StatusOr<int64_t> Size() const override { return file_->Size(); }

 private:
  DiskBudget& budget_;
  const std::unique_ptr<base::File> file_;
  const std::shared_ptr<Counted> counted_;
};

absl::StatusOr<std::unique_ptr<DiskBudget>> DiskBudget::Open(base::FileSystem& below,
                                                             const Options& options) {
  std::unique_ptr<DiskBudget> budget(new DiskBudget(below, options));
  if (options.budget_bytes.has_value()) {
    POLYAK_RETURN_IF_ERROR(budget->AddFiles());
  }
  return budget;
}

absl::Status DiskBudget::AddFiles() {
  const auto names = below_.List(options_.directory);
  if (!names.ok()) {
    return absl::IsNotFound(names.status()) ? absl::OkStatus() : names.status();
  }
  const base::MutexLock lock(&mutex_);
  for (const std::string& name : *names) {
    const std::string path = absl::StrCat(options_.directory, "/", name);
    POLYAK_ASSIGN_OR_RETURN(const auto file, below_.Open(path, Mode::kRead));
    POLYAK_ASSIGN_OR_RETURN(const int64_t size, file->Size());
    Account(*CountedOf(path), size);
  }
  return absl::OkStatus();
}

void DiskBudget::Account(Counted& file, int64_t size) {
  const int64_t before = std::exchange(file.size, size);
  used_bytes_ += file.has_name ? size - before : 0;
}

std::shared_ptr<DiskBudget::Counted> DiskBudget::CountedOf(const std::string& path) {
  if (const auto found = files_.find(path); found != files_.end()) {
    return found->second;
  }
  return files_.emplace(path, std::make_shared<Counted>()).first->second;
}

void DiskBudget::Drop(const std::string& path) {
  if (const auto found = files_.extract(path); !found.empty()) {
    used_bytes_ -= found.mapped()->size;
    found.mapped()->has_name = false;
  }
}

absl::Status DiskBudget::CheckBudget(int64_t bytes) const {
  const base::MutexLock lock(&mutex_);
  return CheckGrowth(bytes);
}

int64_t DiskBudget::CountedBytes(const std::string& path) const {
  const base::MutexLock lock(&mutex_);
  const auto found = files_.find(path);
  return found == files_.end() ? 0 : found->second->size;
}

absl::Status DiskBudget::CheckGrowth(int64_t bytes) const {
  if (options_.budget_bytes.has_value() && used_bytes_ + bytes > *options_.budget_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the files of all jobs take ", Megabytes(used_bytes_), " of the ",
                     Megabytes(*options_.budget_bytes), " that they may"));
  }
  return absl::OkStatus();
}

absl::Status DiskBudget::CheckReserve(int64_t bytes) const {
  if (options_.reserve_bytes == 0) {
    return absl::OkStatus();  // the disk itself says when it is full
  }
  POLYAK_ASSIGN_OR_RETURN(const int64_t free, below_.FreeBytes(options_.directory));
  if (free - bytes < options_.reserve_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(Megabytes(free), " are free under ", options_.directory, ", and ",
                     Megabytes(options_.reserve_bytes), " stay free"));
  }
  return absl::OkStatus();
}

absl::Status DiskBudget::Claim(Counted& file, int64_t size) {
  POLYAK_RETURN_IF_ERROR(CheckReserve(size - file.size));
  const base::MutexLock lock(&mutex_);
  POLYAK_RETURN_IF_ERROR(CheckGrowth(size - file.size));
  Account(file, size);
  return absl::OkStatus();
}

absl::Status DiskBudget::CheckRoom() const {
  POLYAK_RETURN_IF_ERROR(CheckReserve(1));
  return CheckBudget(1);
}

bool DiskBudget::nearly_spent() const {
  const base::MutexLock lock(&mutex_);
  return options_.budget_bytes.has_value() &&
         used_bytes_ > *options_.budget_bytes - *options_.budget_bytes / 10;
}

absl::Status DiskBudget::Write(base::File& file, Counted& counted, int64_t offset,
                               std::string_view data) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file.Size());
  const int64_t end = offset + static_cast<int64_t>(data.size());
  if (end <= size) {
    return file.Write(offset, data);
  }
  POLYAK_RETURN_IF_ERROR(Claim(counted, end));
  const absl::Status status = file.Write(offset, data);
  if (!status.ok()) {
    const int64_t written = file.Size().value_or(end);
    const base::MutexLock lock(&mutex_);
    Account(counted, written);
  }
  return status;
}

absl::Status DiskBudget::Truncate(base::File& file, Counted& counted, int64_t size) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t before, file.Size());
  if (size > before) {
    POLYAK_RETURN_IF_ERROR(Claim(counted, size));
  }
  const absl::Status status = file.Truncate(size);
  const int64_t now = status.ok() ? size : file.Size().value_or(before);
  const base::MutexLock lock(&mutex_);
  Account(counted, now);
  return status;
}

absl::StatusOr<std::unique_ptr<base::File>> DiskBudget::Open(const std::string& path, Mode mode) {
  POLYAK_ASSIGN_OR_RETURN(auto file, below_.Open(path, mode));
  if (mode == Mode::kRead) {
    return file;
  }
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file->Size());
  const base::MutexLock lock(&mutex_);
  std::shared_ptr<Counted> counted = CountedOf(path);
  Account(*counted, size);
  return std::make_unique<BudgetedFile>(*this, std::move(file), std::move(counted));
}

absl::Status DiskBudget::Rename(const std::string& from, const std::string& to) {
  std::string name = to;  // now: there may be no memory for it when the file has moved
  POLYAK_RETURN_IF_ERROR(below_.Rename(from, to));
  const base::MutexLock lock(&mutex_);
  if (from != to) {
    Drop(to);
    if (!to.starts_with(options_.directory + "/")) {
      Drop(from);  // not of the directory any more
    } else if (auto moved = files_.extract(from); !moved.empty()) {
      moved.key() = std::move(name);
      files_.insert(std::move(moved));
    }
  }
  return absl::OkStatus();
}

absl::Status DiskBudget::Remove(const std::string& path) {
  POLYAK_RETURN_IF_ERROR(below_.Remove(path));
  const base::MutexLock lock(&mutex_);
  Drop(path);
  return absl::OkStatus();
}

absl::Status DiskBudget::SyncDirectory(const std::string& path) {
  return below_.SyncDirectory(path);
}

absl::Status DiskBudget::CreateDirectory(const std::string& path) {
  return below_.CreateDirectory(path);
}

absl::StatusOr<std::vector<std::string>> DiskBudget::List(const std::string& path) const {
  return below_.List(path);
}

absl::StatusOr<bool> DiskBudget::Exists(const std::string& path) const {
  return below_.Exists(path);
}

absl::StatusOr<int64_t> DiskBudget::FreeBytes(const std::string& path) const {
  POLYAK_ASSIGN_OR_RETURN(const int64_t free, below_.FreeBytes(path));
  const base::MutexLock lock(&mutex_);
  const int64_t budget = options_.budget_bytes.has_value() ? *options_.budget_bytes - used_bytes_
                                                           : std::numeric_limits<int64_t>::max();
  return std::max<int64_t>(0, std::min(budget, free - options_.reserve_bytes));
}

}  // namespace polyak::storage
