#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"

namespace polyak::testing_support {

using base::MutexLock;

namespace {

absl::Status Full(const char* call, const std::string& path) {
  return absl::ResourceExhaustedError(absl::StrCat(call, " ", path, ": No space left on device"));
}

bool Matches(const FaultyFileSystem::Rule& rule, const FaultyFileSystem::Operation& operation) {
  return rule.call == operation.call && (operation.path.find(rule.path) != std::string::npos ||
                                         operation.to.find(rule.path) != std::string::npos);
}

}  // namespace

class FaultyFileSystem::FaultyFile : public base::File {
 public:
  FaultyFile(const FaultyFileSystem& owner, std::unique_ptr<base::File> below, std::string path)
      : owner_(owner), below_(std::move(below)), path_(std::move(path)) {}

  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    return owner_.RunForValue<int64_t>(At(Call::kRead, offset, static_cast<int64_t>(out.size())),
                                       [&] { return below_->Read(offset, out); });
  }

  absl::Status Write(int64_t offset, std::string_view data) override {
    const Operation operation = At(Call::kWrite, offset, static_cast<int64_t>(data.size()));
    const std::optional<Fault> fault = owner_.Enter(operation);
    if (!fault) {
      return owner_.WriteWithinLimit(*below_, path_, offset, data);
    }
    if (fault->action == Fault::Action::kSwallow) {
      return absl::OkStatus();
    }
    const bool whole = fault->action == Fault::Action::kExecuteThenFail;
    const size_t written = whole ? data.size() : static_cast<size_t>(fault->short_count);
    // What becomes of the part is not told, as by a real disk.
    owner_.WriteWithinLimit(*below_, path_, offset, data.substr(0, written)).IgnoreError();
    return fault->status;
  }

  absl::Status Sync() override {
    return owner_.Run(At(Call::kSync), [&] { return below_->Sync(); });
  }

  absl::Status Truncate(int64_t size) override {
    return owner_.Run(At(Call::kTruncate, size),
                      [&] { return owner_.TruncateWithinLimit(*below_, path_, size); });
  }

  absl::StatusOr<int64_t> Size() const override {
    return owner_.RunForValue<int64_t>(At(Call::kSize), [&] { return below_->Size(); });
  }

 private:
  Operation At(Call call, int64_t offset = 0, int64_t size = 0) const {
    return {call, path_, "", std::nullopt, offset, size};
  }

  const FaultyFileSystem& owner_;
  const std::unique_ptr<base::File> below_;
  const std::string path_;
};

size_t FaultyFileSystem::AddRule(Rule rule) {
  POLYAK_CHECK(!rule.fault.status.ok() || rule.fault.action == Fault::Action::kSwallow);
  const MutexLock lock(&mutex_);
  rules_.push_back({std::move(rule)});
  return rules_.size() - 1;
}

void FaultyFileSystem::ClearRules() {
  const MutexLock lock(&mutex_);
  for (Planted& planted : rules_) {
    planted.removed = true;
  }
}

int64_t FaultyFileSystem::matched(size_t rule) const {
  const MutexLock lock(&mutex_);
  return rules_.at(rule).matched;
}

int64_t FaultyFileSystem::fired(size_t rule) const {
  const MutexLock lock(&mutex_);
  return rules_.at(rule).fired;
}

void FaultyFileSystem::SetHook(Hook hook) {
  const MutexLock lock(&mutex_);
  hook_ = std::move(hook);
}

void FaultyFileSystem::SetFreeBytes(std::optional<int64_t> bytes) {
  const MutexLock lock(&mutex_);
  free_bytes_ = bytes;
}

int64_t FaultyFileSystem::calls(Call call) const {
  const MutexLock lock(&mutex_);
  return calls_[static_cast<size_t>(call)];
}

std::optional<FaultyFileSystem::Fault> FaultyFileSystem::Enter(const Operation& operation) const {
  Hook hook;
  {
    const MutexLock lock(&mutex_);
    ++calls_[static_cast<size_t>(operation.call)];
    hook = hook_;
  }
  std::optional<Fault> fault = hook ? hook(operation) : std::nullopt;
  const MutexLock lock(&mutex_);
  for (Planted& planted : rules_) {
    if (planted.removed || !Matches(planted.rule, operation)) {
      continue;
    }
    const int64_t late = ++planted.matched - planted.rule.nth;  // matching calls since the first
    if (!fault && 0 <= late && late < planted.rule.times) {
      ++planted.fired;
      fault = planted.rule.fault;
    }
  }
  return fault;
}

absl::Status FaultyFileSystem::Run(const Operation& operation,
                                   const std::function<absl::Status()>& call) const {
  const std::optional<Fault> fault = Enter(operation);
  if (!fault) {
    return call();
  }
  if (fault->action == Fault::Action::kSwallow) {
    return absl::OkStatus();
  }
  if (fault->action == Fault::Action::kExecuteThenFail) {
    call().IgnoreError();
  }
  return fault->status;
}

template <typename Value>
absl::StatusOr<Value> FaultyFileSystem::RunForValue(
    const Operation& operation, const std::function<absl::StatusOr<Value>()>& call) const {
  const std::optional<Fault> fault = Enter(operation);
  if (!fault) {
    return call();
  }
  POLYAK_CHECK(fault->action != Fault::Action::kSwallow);
  if (fault->action == Fault::Action::kExecuteThenFail) {
    call().IgnoreError();
  }
  return fault->status;
}

int64_t FaultyFileSystem::Take(int64_t bytes) const {
  const MutexLock lock(&mutex_);
  const int64_t taken = free_bytes_ ? std::min(bytes, *free_bytes_) : bytes;
  if (free_bytes_) {
    *free_bytes_ -= taken;
  }
  return taken;
}

void FaultyFileSystem::GiveBack(int64_t bytes) const {
  const MutexLock lock(&mutex_);
  if (free_bytes_) {
    *free_bytes_ += bytes;
  }
}

bool FaultyFileSystem::has_limit() const {
  const MutexLock lock(&mutex_);
  return free_bytes_.has_value();
}

int64_t FaultyFileSystem::SizeOf(const std::string& path) const {
  const auto file = below_.Open(path, Mode::kRead);
  return file.ok() ? (*file)->Size().value_or(0) : 0;
}

absl::Status FaultyFileSystem::WriteWithinLimit(base::File& file, const std::string& path,
                                                int64_t offset, std::string_view data) const {
  if (!has_limit()) {
    return file.Write(offset, data);
  }
  POLYAK_ASSIGN_OR_RETURN(const int64_t size_before, file.Size());
  const int64_t end = offset + static_cast<int64_t>(data.size());
  const int64_t growth = data.empty() ? 0 : std::max<int64_t>(0, end - size_before);
  const int64_t taken = Take(growth);
  if (taken == growth) {
    return file.Write(offset, data);
  }
  const int64_t fits = static_cast<int64_t>(data.size()) - (growth - taken);
  if (fits <= 0) {
    GiveBack(taken);
    return Full("write", path);
  }
  POLYAK_RETURN_IF_ERROR(file.Write(offset, data.substr(0, static_cast<size_t>(fits))));
  return Full("write", path);
}

absl::Status FaultyFileSystem::TruncateWithinLimit(base::File& file, const std::string& path,
                                                   int64_t size) const {
  if (!has_limit()) {
    return file.Truncate(size);
  }
  POLYAK_ASSIGN_OR_RETURN(const int64_t size_before, file.Size());
  const int64_t growth = std::max<int64_t>(0, size - size_before);
  const int64_t taken = Take(growth);
  if (taken < growth) {
    GiveBack(taken);
    return Full("truncate", path);
  }
  POLYAK_RETURN_IF_ERROR(file.Truncate(size));
  GiveBack(std::max<int64_t>(0, size_before - size));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<base::File>> FaultyFileSystem::Open(const std::string& path,
                                                                   Mode mode) {
  return RunForValue<std::unique_ptr<base::File>>(
      {Call::kOpen, path, "", mode}, [&]() -> absl::StatusOr<std::unique_ptr<base::File>> {
        const bool cuts = mode == Mode::kOverwrite && has_limit();
        const int64_t size_before = cuts ? SizeOf(path) : 0;
        POLYAK_ASSIGN_OR_RETURN(std::unique_ptr<base::File> file, below_.Open(path, mode));
        GiveBack(size_before);
        return std::make_unique<FaultyFile>(*this, std::move(file), path);
      });
}

absl::Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  return Run({Call::kRename, from, to}, [&] {
    const int64_t replaced = has_limit() && from != to ? SizeOf(to) : 0;
    absl::Status status = below_.Rename(from, to);
    GiveBack(status.ok() ? replaced : 0);
    return status;
  });
}

absl::Status FaultyFileSystem::Remove(const std::string& path) {
  return Run({Call::kRemove, path}, [&] {
    const int64_t removed = has_limit() ? SizeOf(path) : 0;
    absl::Status status = below_.Remove(path);
    GiveBack(status.ok() ? removed : 0);
    return status;
  });
}

absl::Status FaultyFileSystem::SyncDirectory(const std::string& path) {
  return Run({Call::kSyncDirectory, path}, [&] { return below_.SyncDirectory(path); });
}

absl::Status FaultyFileSystem::CreateDirectory(const std::string& path) {
  return Run({Call::kCreateDirectory, path}, [&] { return below_.CreateDirectory(path); });
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::List(const std::string& path) const {
  return RunForValue<std::vector<std::string>>({Call::kList, path},
                                               [&] { return below_.List(path); });
}

absl::StatusOr<bool> FaultyFileSystem::Exists(const std::string& path) const {
  return RunForValue<bool>({Call::kExists, path}, [&] { return below_.Exists(path); });
}

absl::StatusOr<int64_t> FaultyFileSystem::FreeBytes(const std::string& path) const {
  return RunForValue<int64_t>({Call::kFreeBytes, path}, [&]() -> absl::StatusOr<int64_t> {
    POLYAK_ASSIGN_OR_RETURN(const int64_t below, below_.FreeBytes(path));
    const MutexLock lock(&mutex_);
    return free_bytes_ ? std::min(below, *free_bytes_) : below;
  });
}

}  // namespace polyak::testing_support
