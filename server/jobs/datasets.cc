#include "server/jobs/datasets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"
#include "server/engine/data/built_in.h"
#include "server/jobs/errors.h"
#include "server/spec/parse_names.h"
#include "server/spec/parse_values.h"

namespace polyak::jobs {
namespace {

constexpr int kDiskThreads = 2;
constexpr int32_t kPageSizeDefault = 50;
constexpr int32_t kPageSizeMax = 1000;
constexpr double kIdleSeconds = 60;
constexpr absl::Duration kRetryAfter = absl::Seconds(5);

v1::StoredDataset Describe(const engine::BuiltInDataset& set) {
  v1::StoredDataset dataset;
  dataset.set_name(std::string{set.name});
  dataset.set_description(std::string{set.description});
  dataset.set_examples(set.data->features.rows());
  dataset.set_input_dimension(set.data->features.cols());
  dataset.set_output_dimension(set.data->targets.cols());
  return dataset;
}

int64_t BytesOf(const v1::StoredDataset& dataset) {
  return DatasetBytes(dataset.examples(), dataset.input_dimension(), dataset.output_dimension());
}

bool IsSha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) &&
                  !absl::ascii_isupper(static_cast<unsigned char>(c));
         });
}

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.4g MB", static_cast<double>(bytes) / 1e6);
}

// An error of the store with what can be done about it.
absl::Status ForSender(const absl::Status& status) {
  return WithDetails(
      absl::IsDataLoss(status)
          ? absl::DataLossError(absl::StrCat(std::string{status.message()}, "; send it again"))
          : status);
}

absl::Status CheckHeader(const v1::DatasetHeader& header, const Datasets::Options& options) {
  spec::Violations violations;
  const spec::Limits& limits = options.limits;
  spec::CheckRange(header.examples(), 1, limits.max_examples, "header.examples", violations);
  spec::CheckRange(header.input_dimension(), 1, limits.max_input_dimension,
                   "header.input_dimension", violations);
  spec::CheckRange(header.output_dimension(), 1, limits.max_output_dimension,
                   "header.output_dimension", violations);
  if (violations.empty()) {
    const int64_t bytes =
        DatasetBytes(header.examples(), header.input_dimension(), header.output_dimension());
    if (bytes > options.bytes_max) {
      violations.Add("header", absl::StrCat("is of ", Megabytes(bytes), "; accepted: up to ",
                                            Megabytes(options.bytes_max), " on this server"));
    }
  }
  if (!header.sha256().empty() && !IsSha256(header.sha256())) {
    violations.Add("header.sha256", spec::Refusal(spec::Quoted(header.sha256()),
                                                  "64 hexadecimal digits in lower case, or empty"));
  }
  spec::CheckDisplayName(header.display_name(), violations, "header.display_name");
  return violations.empty() ? absl::OkStatus() : InvalidArgument(violations);
}

}  // namespace

Datasets::Datasets(const Options& options, storage::DatasetStore& store,
                   const storage::JobStore& jobs, const base::Clock& clock)
    : options_(options),
      store_(store),
      jobs_(jobs),
      clock_(clock),
      disk_(kDiskThreads, "datasets") {}

Datasets::~Datasets() {
  const base::MutexLock lock(&mutex_);
  while (deletes_ > 0) {
    no_deletes_.Wait(&mutex_);
  }
}

absl::Status Datasets::Load() {
  POLYAK_ASSIGN_OR_RETURN(const auto loaded, store_.Load());
  const base::MutexLock lock(&mutex_);
  for (const v1::StoredDataset& dataset : loaded.datasets) {
    bytes_ += BytesOf(dataset);
    entries_[dataset.name()] = std::make_shared<const Entry>(Entry{dataset});
  }
  for (const auto& [name, status] : loaded.unusable) {
    spec::Violations no_name;  // a file that no upload has made
    if (spec::CheckDatasetName(name, no_name) && engine::FindBuiltInDataset(name) == nullptr) {
      unusable_[name] = ForSender(status);
    }
  }
  return absl::OkStatus();
}

std::optional<engine::StoredDataSpec> Datasets::Find(const std::string& name) const {
  std::shared_ptr<const Entry> entry;
  {
    const base::MutexLock lock(&mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      return std::nullopt;
    }
    entry = found->second;
  }
  engine::StoredDataSpec spec;
  spec.examples = entry->dataset.examples();
  spec.input_dimension = entry->dataset.input_dimension();
  spec.output_dimension = entry->dataset.output_dimension();
  spec.load = [this, entry](int64_t count) { return Read(*entry, count); };
  return spec;
}

absl::Status Datasets::CheckUsable(const std::string& name) const {
  const base::MutexLock lock(&mutex_);
  const auto found = unusable_.find(name);
  return found == unusable_.end() ? absl::OkStatus() : found->second;
}

absl::StatusOr<engine::Dataset> Datasets::Read(const Entry& entry, int64_t count) const {
  const v1::StoredDataset& dataset = entry.dataset;
  engine::Dataset data;
  data.features.resize(count, dataset.input_dimension());
  data.targets.resize(count, dataset.output_dimension());
  int64_t row = 0;
  int64_t column = 0;
  bool in_targets = false;
  const absl::Status status = store_.Read(dataset, [&](std::span<const double> values) {
    for (const double value : values) {
      engine::Matrix& matrix = in_targets ? data.targets : data.features;
      if (row < count) {
        matrix(row, column) = value;
      }
      if (++column == matrix.cols()) {
        column = 0;
        if (++row == dataset.examples()) {
          row = 0;
          in_targets = true;
        }
      }
    }
  });
  NoteRead(dataset.name(), status);
  POLYAK_RETURN_IF_ERROR(ForSender(status));
  return data;
}

void Datasets::NoteRead(const std::string& name, const absl::Status& status) const {
  const base::MutexLock lock(&mutex_);
  if (status.ok()) {
    whole_.insert(name);
  } else if (absl::IsDataLoss(status)) {
    whole_.erase(name);
  }
}

absl::StatusOr<v1::StoredDataset> Datasets::Get(const std::string& name) const {
  spec::Violations violations;
  if (!spec::CheckDatasetName(name, violations)) {
    return InvalidArgument(violations);
  }
  if (const auto* const built_in = engine::FindBuiltInDataset(name); built_in != nullptr) {
    return Describe(*built_in);
  }
  const base::MutexLock lock(&mutex_);
  if (const auto unusable = unusable_.find(name); unusable != unusable_.end()) {
    return unusable->second;
  }
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return DatasetNotFound(name);
  }
  return found->second->dataset;
}

absl::StatusOr<v1::ListDatasetsResponse> Datasets::List(
    const v1::ListDatasetsRequest& request) const {
  spec::Violations violations;
  if (request.page_size() < 0 || request.page_size() > kPageSizeMax) {
    violations.Add("page_size",
                   spec::Refusal(request.page_size(),
                                 absl::StrCat("0 (", kPageSizeDefault, ") to ", kPageSizeMax)));
  }
  // A token is the name of the last data set before.
  spec::Violations of_token;
  if (!request.page_token().empty() && !spec::CheckDatasetName(request.page_token(), of_token)) {
    violations.Add("page_token",
                   "is not one of this list; accepted: next_page_token of the answer before");
  }
  if (!violations.empty()) {
    return InvalidArgument(violations);
  }
  std::vector<v1::StoredDataset> all;
  for (const engine::BuiltInDataset& set : engine::BuiltInDatasets()) {
    all.push_back(Describe(set));
  }
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [name, entry] : entries_) {
      all.push_back(entry->dataset);
    }
  }
  auto from = all.begin();
  if (!request.page_token().empty()) {
    const auto built_in = std::find_if(all.begin(), all.end(), [&request](const auto& dataset) {
      return dataset.sha256().empty() && dataset.name() == request.page_token();
    });
    // One that was sent may have gone since: the names after it are still in order.
    from = built_in != all.end()
               ? built_in + 1
               : std::find_if(all.begin(), all.end(), [&request](const auto& dataset) {
                   return !dataset.sha256().empty() && dataset.name() > request.page_token();
                 });
  }
  const int64_t size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  v1::ListDatasetsResponse response;
  for (; from != all.end() && response.datasets_size() < size; ++from) {
    *response.add_datasets() = std::move(*from);
  }
  if (from != all.end()) {
    response.set_next_page_token(response.datasets().rbegin()->name());
  }
  return response;
}

absl::Status Datasets::CheckUse(const std::string& name,
                                const absl::StatusOr<storage::DatasetUse>& use) {
  if (!use.ok()) {
    return WithDetails(use.status());
  }
  if (use->jobs == 0) {
    return absl::OkStatus();
  }
  return FailedPrecondition(
      "DATASET_IN_USE", name,
      absl::StrCat(name, " is named by ", use->jobs,
                   use->jobs == 1 ? " job, " : " jobs, one of them ", use->one,
                   "; accepted: one that no job refers to (delete them first)"));
}

void Datasets::Delete(const std::string& name, Done done) {
  if (engine::FindBuiltInDataset(name) != nullptr) {
    return done(FailedPrecondition("DATASET_BUILT_IN", name,
                                   absl::StrCat(name,
                                                " ships with the server; accepted: a data "
                                                "set that was sent")));
  }
  if (const auto found = Get(name); !found.ok() && CheckUsable(name).ok()) {
    return done(found.status());
  }
  {
    const base::MutexLock lock(&mutex_);
    ++deletes_;
  }
  done = [this, answer = std::move(done)](const absl::Status& status) {
    answer(status);
    const base::MutexLock lock(&mutex_);
    if (--deletes_ == 0) {
      no_deletes_.SignalAll();
    }
  };
  // Asked before, so that who asks in vain disturbs nobody, and again when no new job can name it.
  jobs_.FindDatasetUse(name, [this, name, done = std::move(done)](const auto& use) {
    if (const absl::Status used = CheckUse(name, use); !used.ok()) {
      return done(used);
    }
    const auto taken = TakeOut(name);
    if (!taken.ok()) {
      return done(taken.status());
    }
    jobs_.FindDatasetUse(name, [this, taken = *taken, done](const auto& use_now) {
      if (const absl::Status used = CheckUse(taken.name, use_now); !used.ok()) {
        Keep(taken);
        return done(used);
      }
      Run([this, taken, done] { Remove(taken, done); });
    });
  });
}

absl::StatusOr<Datasets::Taken> Datasets::TakeOut(const std::string& name) {
  const base::MutexLock lock(&mutex_);
  const auto found = entries_.find(name);
  const auto unusable = unusable_.find(name);
  if (found == entries_.end() && unusable == unusable_.end()) {
    return DatasetNotFound(name);
  }
  if (found != entries_.end() &&
      (found->second.use_count() > 1 || found->second->name_held.use_count() > 1)) {
    return FailedPrecondition(
        "DATASET_IN_USE", name,
        absl::StrCat(name, " is used by a job; accepted: one that no job refers to"));
  }
  if (!busy_.insert(name).second) {
    return WithDetails(absl::UnavailableError(absl::StrCat(name, " is just being stored")));
  }
  Taken taken = {name, nullptr, absl::OkStatus()};
  if (found != entries_.end()) {
    taken.entry = std::move(found->second);
    entries_.erase(found);
  } else {
    taken.unusable = std::move(unusable->second);
    unusable_.erase(unusable);
  }
  return taken;
}

void Datasets::Keep(const Taken& taken) {
  const base::MutexLock lock(&mutex_);
  if (taken.entry != nullptr) {
    // Not the same one: copies of `taken` may still hold that.
    entries_[taken.name] = std::make_shared<const Entry>(Entry{taken.entry->dataset});
  } else {
    unusable_[taken.name] = taken.unusable;
  }
  busy_.erase(taken.name);
}

void Datasets::Remove(const Taken& taken, const Done& done) {
  if (const absl::Status removed = store_.Remove(taken.name); !removed.ok()) {
    Keep(taken);
    return done(WithDetails(removed));
  }
  {
    const base::MutexLock lock(&mutex_);
    bytes_ -= taken.entry == nullptr ? 0 : BytesOf(taken.entry->dataset);
    whole_.erase(taken.name);
    busy_.erase(taken.name);
  }
  done(absl::OkStatus());
}

absl::Status Datasets::Reserve(int64_t bytes) {
  const base::MutexLock lock(&mutex_);
  if (uploads_ >= options_.uploads_max) {
    GiveUpIdle();
    return ResourceExhausted("TOO_MANY_UPLOADS", "uploads",
                             absl::StrCat(uploads_, " of ", options_.uploads_max,
                                          " data sets are being sent at this moment"),
                             kRetryAfter);
  }
  if (bytes_ + bytes > options_.bytes_max) {
    GiveUpIdle();
    return ResourceExhausted(
        "DATASETS_FULL", "datasets",
        absl::StrCat("the data set needs ", Megabytes(bytes), ", and ", Megabytes(bytes_), " of ",
                     Megabytes(options_.bytes_max),
                     " are taken by others; deleting those that no job refers to makes room"),
        kRetryAfter);
  }
  ++uploads_;
  bytes_ += bytes;
  return absl::OkStatus();
}

void Datasets::GiveUpIdle() {
  const double now = clock_.MonotonicSeconds();
  for (const DatasetUpload* const upload : begun_) {
    if (now - upload->last_active() > kIdleSeconds) {
      upload->GiveUp();
    }
  }
}

void Datasets::GiveBack(int64_t bytes) {
  --uploads_;
  bytes_ -= bytes;
}

void Datasets::Leave(const DatasetUpload& upload, int64_t bytes) {
  const base::MutexLock lock(&mutex_);
  begun_.erase(&upload);
  GiveBack(bytes);
}

absl::StatusOr<std::unique_ptr<DatasetUpload>> Datasets::Begin(const v1::DatasetHeader& header,
                                                               std::function<void()> give_up) {
  POLYAK_RETURN_IF_ERROR(CheckHeader(header, options_));
  const int64_t bytes =
      DatasetBytes(header.examples(), header.input_dimension(), header.output_dimension());
  POLYAK_RETURN_IF_ERROR(Reserve(bytes));
  auto file = store_.Begin();
  if (!file.ok()) {
    const base::MutexLock lock(&mutex_);
    GiveBack(bytes);
    return WithDetails(file.status());
  }
  UploadRoom& room = *this;
  auto upload =
      std::make_unique<DatasetUpload>(header, room, clock_, *std::move(file), std::move(give_up));
  const base::MutexLock lock(&mutex_);
  begun_.insert(upload.get());
  return upload;
}

std::optional<v1::StoredDataset> Datasets::FindSame(const std::string& sha256) const {
  if (sha256.empty()) {
    return std::nullopt;
  }
  v1::StoredDataset same;
  bool whole = false;
  {
    const base::MutexLock lock(&mutex_);
    const auto found = entries_.find(DatasetName(sha256));
    if (found == entries_.end() || found->second->dataset.sha256() != sha256) {
      return std::nullopt;
    }
    same = found->second->dataset;
    whole = whole_.contains(same.name());
  }
  if (!whole) {
    const absl::Status read = store_.Read(same, [](std::span<const double> /*values*/) {});
    NoteRead(same.name(), read);
    whole = read.ok();
  }
  return whole ? std::optional(std::move(same)) : std::nullopt;
}

absl::StatusOr<std::optional<v1::StoredDataset>> Datasets::FindAnnounced(
    const v1::DatasetHeader& header) const {
  auto same = FindSame(header.sha256());
  if (same.has_value() && (same->examples() != header.examples() ||
                           same->input_dimension() != header.input_dimension() ||
                           same->output_dimension() != header.output_dimension())) {
    spec::Violations violations;
    violations.Add(
        "header.sha256",
        spec::Refusal(spec::Quoted(header.sha256()),
                      absl::StrCat("the sum of sizes and values; this one is that of ",
                                   same->examples(), " examples of ", same->input_dimension(),
                                   " features and ", same->output_dimension(), " targets")));
    return InvalidArgument(violations);
  }
  return same;
}

absl::Status Datasets::BeginStoring(const std::string& name) {
  const base::MutexLock lock(&mutex_);
  return busy_.insert(name).second
             ? absl::OkStatus()
             : WithDetails(absl::UnavailableError(
                   absl::StrCat(name, " is just being stored or deleted by somebody else")));
}

void Datasets::EndStoring(const std::string& name, const v1::StoredDataset* stored) {
  const base::MutexLock lock(&mutex_);
  busy_.erase(name);
  if (stored == nullptr) {
    return;
  }
  whole_.insert(name);
  unusable_.erase(name);
  std::shared_ptr<const Entry>& entry = entries_[name];
  Entry next = {*stored};
  if (entry != nullptr) {  // it replaces a damaged one
    bytes_ -= BytesOf(entry->dataset);
    next.name_held = entry->name_held;
  }
  entry = std::make_shared<const Entry>(std::move(next));
}

}  // namespace polyak::jobs
