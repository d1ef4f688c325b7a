#include "server/jobs/jobs.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/base/check.h"
#include "server/jobs/errors.h"
#include "server/runner/canary.h"
#include "server/runner/runner.h"
#include "server/spec/describe.h"
#include "server/spec/parse_filter.h"
#include "server/spec/parse_names.h"
#include "server/spec/parse_training_job.h"

namespace polyak::jobs {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);
constexpr int32_t kPageSizeDefault = 50;
constexpr int32_t kPageSizeMax = 1000;

std::array<uint8_t, 16> RandomBytes() {
  std::array<uint8_t, 16> bytes{};
  POLYAK_CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// A version 4 UUID.
std::string RandomUid() {
  std::array<uint8_t, 16> bytes = RandomBytes();
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string uid;
  for (size_t k = 0; k < bytes.size(); ++k) {
    absl::StrAppendFormat(&uid, "%s%02x", k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "",
                          bytes[k]);
  }
  return uid;
}

// "job-" and ten letters and digits that are not easily confused.
std::string RandomId() {
  static constexpr char kSymbols[] = "abcdefghijkmnpqrstuvwxyz23456789";
  std::string id = "job-";
  const std::array<uint8_t, 16> bytes = RandomBytes();
  for (size_t k = 0; k < 10; ++k) {
    id += kSymbols[bytes[k] % 32];
  }
  return id;
}

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t nanoseconds = absl::ToUnixNanos(time);
  timestamp.set_seconds(nanoseconds / 1'000'000'000);
  timestamp.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
  return timestamp;
}

// Equal exactly when the request asks for the same: map fields in key order.
std::string Payload(v1::CreateTrainingJobRequest request) {
  request.clear_request_id();
  std::string text;
  google::protobuf::io::StringOutputStream stream(&text);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  request.SerializeToCodedStream(&coded);
  coded.Trim();
  return text;
}

spec::Violations CheckRequest(const v1::CreateTrainingJobRequest& request) {
  spec::Violations violations;
  spec::CheckJobId(request.training_job_id(), violations);
  spec::CheckRequestId(request.request_id(), violations);
  spec::CheckDisplayName(request.display_name(), violations);
  spec::CheckLabels(request.labels(), violations);
  return violations;
}

absl::Status RequestIdReused(const std::string& request_id) {
  return AlreadyExists("REQUEST_ID_REUSED",
                       absl::StrCat("request_id '", request_id,
                                    "' was used for another request; accepted: an unused one, or "
                                    "the same request again"));
}

void ClearMatrices(v1::TrainingJobSpec& spec) {
  if (spec.has_quadratic()) {
    if (spec.quadratic().has_matrix()) {
      spec.mutable_quadratic()->mutable_matrix()->clear_values();
    }
    spec.mutable_quadratic()->clear_linear_term();
    spec.mutable_quadratic()->clear_initial_point();
  } else if (spec.has_relu_network()) {
    spec.mutable_relu_network()->clear_initial_hidden_weights();
    spec.mutable_relu_network()->clear_output_weights();
  } else if (spec.has_deep_linear_network()) {
    spec.mutable_deep_linear_network()->clear_initial_weights();
  }
  const auto clear_inline = [](v1::Dataset* dataset) {
    if (dataset->has_inline_()) {
      dataset->mutable_inline_()->mutable_features()->clear_values();
      dataset->mutable_inline_()->mutable_targets()->clear_values();
    }
  };
  if (spec.quadratic().has_least_squares()) {
    clear_inline(spec.mutable_quadratic()->mutable_least_squares()->mutable_dataset());
  } else if (spec.has_relu_network()) {
    clear_inline(spec.mutable_relu_network()->mutable_dataset());
  } else if (spec.has_deep_linear_network()) {
    clear_inline(spec.mutable_deep_linear_network()->mutable_dataset());
  }
}

}  // namespace

struct Jobs::Admission {
  v1::CreateTrainingJobRequest request;
  storage::RequestKey key;
  spec::ExperimentSpec spec;
  double reserved_bytes = 0;
  JobDone done;
};

Jobs::Jobs(const JobsOptions& options, storage::JobStore& store, const base::Clock& clock)
    : options_(options),
      store_(store),
      clock_(clock),
      all_workers_up_(options.workers),
      pulse_(clock),
      workers_(options.workers, "trainer"),
      admission_(std::max(2, options.workers), "admission") {
  RunCanaries();
}

Jobs::~Jobs() { Drain(); }

void Jobs::RunCanaries() {
  for (int k = 0; k < options_.workers; ++k) {
    workers_.Submit([this] {
      all_workers_up_.arrive_and_wait();  // so that each worker takes one
      canaries_passed_ += runner::CanaryPasses(clock_) ? 1 : 0;
    });
  }
}

bool Jobs::CheckHealth() {
  constexpr int kChecksMax = 5;
  unresponsive_checks_ = workers_.responsive() ? 0 : unresponsive_checks_ + 1;
  return !draining() && canaries_passed_ == options_.workers && unresponsive_checks_ < kChecksMax;
}

absl::Status Jobs::ReserveMemory(const v1::Forecast& forecast, spec::Violations& violations) {
  const double needed = forecast.memory_bytes();
  if (needed > options_.limits.memory_bytes) {
    violations.Add(
        "spec",
        absl::StrFormat("needs %.4g MB of memory, %.4g MB of it for the trace of max_iterations "
                        "records; accepted: up to %.4g MB on this server",
                        needed / 1e6, forecast.trace_bytes() / 1e6,
                        options_.limits.memory_bytes / 1e6));
    return InvalidArgument(violations);
  }
  const base::MutexLock lock(&mutex_);
  if (reserved_bytes_ + needed > options_.limits.memory_bytes) {
    return ResourceExhausted(
        "MEMORY_IN_USE", "memory",
        absl::StrFormat("the job needs %.4g MB, and %.4g of %.4g MB are in use by other jobs; "
                        "deleting ended jobs frees "
                        "their records",
                        needed / 1e6, reserved_bytes_ / 1e6, options_.limits.memory_bytes / 1e6),
        kRetryAfter);
  }
  reserved_bytes_ += needed;
  return absl::OkStatus();
}

void Jobs::ReleaseMemory(int64_t bytes) {
  const base::MutexLock lock(&mutex_);
  reserved_bytes_ -= static_cast<double>(bytes);
}

absl::Status Jobs::TakePlace() {
  const base::MutexLock lock(&mutex_);
  if (places_taken_ >= options_.queue_capacity) {
    return ResourceExhausted("QUEUE_FULL", "queue",
                             absl::StrCat("the queue is full: ", places_taken_, " of ",
                                          options_.queue_capacity, " places are taken"),
                             kRetryAfter);
  }
  ++places_taken_;
  return absl::OkStatus();
}

bool Jobs::BeginRequest(const storage::RequestKey& key, JobDone& done) {
  if (key.request_id.empty()) {
    return true;
  }
  absl::Status refused;
  {
    const base::MutexLock lock(&mutex_);
    const auto [pending, is_new] =
        pending_requests_.try_emplace(key.request_id, PendingRequest{key.payload, {}});
    if (!is_new && pending->second.payload == key.payload) {
      pending->second.followers.push_back(std::move(done));
      return false;
    }
    if (!is_new) {
      refused = RequestIdReused(key.request_id);
    }
  }
  if (!refused.ok()) {
    done(refused);
    return false;
  }
  done = [this, id = key.request_id,
          first = std::move(done)](const absl::StatusOr<storage::JobSnapshot>& answer) {
    std::vector<JobDone> followers;
    {
      const base::MutexLock lock(&mutex_);
      followers = std::move(pending_requests_.extract(id).mapped().followers);
    }
    first(answer);
    for (const JobDone& follower : followers) {
      follower(answer);
    }
  };
  return true;
}

void Jobs::Create(const v1::CreateTrainingJobRequest& request, JobDone done) {
  if (draining()) {
    return done(Draining());
  }
  auto admission = std::make_shared<Admission>();
  spec::Violations violations = CheckRequest(request);
  auto parsed = spec::ParseTrainingJobSpec(request.spec(), options_.limits, violations);
  if (!violations.empty()) {
    return done(InvalidArgument(violations));
  }
  admission->request = request;
  admission->key = {request.request_id(), request.request_id().empty() ? "" : Payload(request)};
  if (!BeginRequest(admission->key, done)) {
    return;
  }
  const auto earlier = store_.FindRequest(admission->key);
  if (!earlier.ok()) {
    return done(RequestIdReused(request.request_id()));
  }
  if (*earlier != nullptr) {
    return done(*earlier);
  }
  if (!request.training_job_id().empty() &&
      store_.Get(spec::JobName(request.training_job_id())).ok()) {
    return done(
        AlreadyExists("ID_TAKEN", absl::StrCat("training_job_id '", request.training_job_id(),
                                               "' is taken; accepted: an unused id, or empty")));
  }
  const v1::Forecast forecast = runner::ForecastCost(*parsed);
  if (absl::Status status = TakePlace(); !status.ok()) {
    return done(status);
  }
  if (absl::Status status = ReserveMemory(forecast, violations); !status.ok()) {
    const base::MutexLock lock(&mutex_);
    --places_taken_;
    return done(status);
  }
  admission->reserved_bytes = forecast.memory_bytes();
  admission->spec = *std::move(parsed);
  admission->done = std::move(done);
  admission_.Submit([this, admission] { Admit(admission); });
}

void Jobs::Admit(const std::shared_ptr<Admission>& admission) {
  spec::Violations violations;
  std::shared_ptr<const runner::PreparedJob> prepared;
  absl::Status status = draining() ? Draining() : absl::OkStatus();
  try {
    if (status.ok()) {
      prepared = runner::Prepare(admission->spec, violations);
      status = violations.empty() ? absl::OkStatus() : InvalidArgument(violations);
    }
  } catch (const std::bad_alloc&) {
    status = ResourceExhausted("MEMORY_IN_USE", "memory",
                               "the machine has no memory for this job now", kRetryAfter);
  }
  if (!status.ok()) {
    ReleaseMemory(static_cast<int64_t>(admission->reserved_bytes));
    {
      const base::MutexLock lock(&mutex_);
      --places_taken_;
    }
    return admission->done(status);
  }
  Enqueue(admission, std::move(prepared));
}

void Jobs::Enqueue(const std::shared_ptr<Admission>& admission,
                   std::shared_ptr<const runner::PreparedJob> prepared) {
  const v1::CreateTrainingJobRequest& request = admission->request;
  auto form = std::make_shared<v1::TrainingJob>();
  const std::string& id = request.training_job_id();
  form->set_name(spec::JobName(id.empty() ? RandomId() : id));
  form->set_uid(RandomUid());
  form->set_display_name(request.display_name());
  *form->mutable_labels() = request.labels();
  *form->mutable_spec() = request.spec();
  *form->mutable_resolution() = prepared->resolution;
  form->set_state(v1::TrainingJob::STATE_QUEUED);
  *form->mutable_create_time() = ToTimestamp(clock_.WallTime());
  auto job = std::make_shared<Job>(form, std::move(prepared));
  job->reserved_bytes = static_cast<int64_t>(admission->reserved_bytes);
  bool is_new = false;
  {
    // Before the store knows the job, so that whoever finds its name finds its trace too.
    const base::MutexLock lock(&mutex_);
    is_new = jobs_.emplace(form->name(), job).second;
    if (!is_new) {
      --places_taken_;
      reserved_bytes_ -= admission->reserved_bytes;
    }
  }
  if (!is_new) {
    return admission->done(
        AlreadyExists("ID_TAKEN", absl::StrCat(form->name(), " was created at the same moment")));
  }
  store_.Insert(form, admission->key, [this, admission, job, form](const absl::Status& status) {
    if (!status.ok()) {
      {
        const base::MutexLock lock(&mutex_);
        jobs_.erase(form->name());
        --places_taken_;
        reserved_bytes_ -= admission->reserved_bytes;
      }
      return admission->done(AlreadyExists("ID_TAKEN", std::string(status.message())));
    }
    {
      const base::MutexLock lock(&mutex_);
      queue_.push_back(job);
    }
    admission->done(WithQueuePlace(form));
    workers_.Submit([this] { RunNext(); });
  });
}

void Jobs::RunNext() {
  std::shared_ptr<Job> job;
  {
    const base::MutexLock lock(&mutex_);
    if (queue_.empty() || draining()) {
      return;  // cancelled while it waited, or the server is about to stop
    }
    job = std::move(queue_.front());
    queue_.pop_front();
    --places_taken_;
  }
  RunJob(job);
}

void Jobs::Change(const std::shared_ptr<Job>& job, v1::TrainingJob form) {
  auto snapshot = std::make_shared<const v1::TrainingJob>(std::move(form));
  store_.Update(snapshot, [this, job, snapshot](const absl::Status& status) {
    POLYAK_CHECK(status.ok());
    job->set_snapshot(snapshot);
    pulse_.Nudge();
  });
}

void Jobs::RunJob(const std::shared_ptr<Job>& job) {
  v1::TrainingJob form = *job->snapshot();
  form.set_state(v1::TrainingJob::STATE_RUNNING);
  *form.mutable_start_time() = ToTimestamp(clock_.WallTime());
  Change(job, form);
  const auto result = runner::Run(job->prepared(), job->trace(), job->stop(), clock_);
  if (draining() && result.ok() && result->reason == engine::StopReason::kCancelled) {
    return;  // interrupted, not cancelled: the job stays RUNNING
  }
  if (!result.ok()) {
    form.set_state(v1::TrainingJob::STATE_FAILED);
    form.mutable_error()->set_code(static_cast<int>(result.status().code()));
    form.mutable_error()->set_message(std::string(result.status().message()));
  } else {
    form.set_state(result->reason == engine::StopReason::kCancelled
                       ? v1::TrainingJob::STATE_CANCELLED
                       : v1::TrainingJob::STATE_SUCCEEDED);
    *form.mutable_termination() = spec::DescribeTermination(result->reason);
    *form.mutable_summary() = result->summary;
  }
  Finish(job, std::move(form));
}

void Jobs::Finish(const std::shared_ptr<Job>& job, v1::TrainingJob final_form) {
  *final_form.mutable_end_time() = ToTimestamp(clock_.WallTime());
  // From here on the job holds its trace alone.
  const int64_t kept = job->trace().allocated_bytes();
  {
    const base::MutexLock lock(&mutex_);
    reserved_bytes_ += static_cast<double>(kept - job->reserved_bytes);
    job->reserved_bytes = kept;
  }
  Change(job, std::move(final_form));
}

storage::JobSnapshot Jobs::WithQueuePlace(const storage::JobSnapshot& snapshot) const {
  if (snapshot->state() != v1::TrainingJob::STATE_QUEUED) {
    return snapshot;
  }
  int64_t ahead = 0;
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& job : queue_) {
      if (job->snapshot()->name() == snapshot->name()) {
        break;
      }
      ++ahead;
    }
  }
  auto placed = std::make_shared<v1::TrainingJob>(*snapshot);
  placed->set_jobs_ahead(ahead);
  return placed;
}

absl::StatusOr<storage::JobSnapshot> Jobs::Get(const std::string& name) const {
  spec::Violations violations;
  if (!spec::CheckJobName(name, violations)) {
    return InvalidArgument(violations);
  }
  auto snapshot = store_.Get(name);
  if (!snapshot.ok()) {
    return JobNotFound(name, snapshot.status().message() == "expired");
  }
  return WithQueuePlace(*snapshot);
}

absl::StatusOr<std::shared_ptr<Job>> Jobs::Find(const std::string& name) const {
  const auto snapshot = Get(name);
  if (!snapshot.ok()) {
    return snapshot.status();
  }
  const base::MutexLock lock(&mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) {
    return JobNotFound(name, true);
  }
  return found->second;
}

absl::StatusOr<v1::ListTrainingJobsResponse> Jobs::List(
    const v1::ListTrainingJobsRequest& request) const {
  spec::Violations violations;
  const spec::JobFilter filter = spec::ParseFilter(request.filter(), violations);
  if (request.page_size() < 0 || request.page_size() > kPageSizeMax) {
    violations.Add("page_size",
                   spec::Refusal(request.page_size(),
                                 absl::StrCat("0 (", kPageSizeDefault, ") to ", kPageSizeMax)));
  }
  // A token is the place of the next job and a digest of the filter it belongs to.
  const std::string digest =
      absl::StrFormat("-%08x", std::hash<std::string>()(request.filter()) & 0xffffffff);
  storage::ListPage page;
  if (!request.page_token().empty()) {
    const std::string& token = request.page_token();
    const auto read = std::from_chars(token.data(), token.data() + token.size(), page.before);
    if (read.ec != std::errc() || page.before <= 0 ||
        std::string(read.ptr, token.data() + token.size()) != digest) {
      violations.Add(
          "page_token",
          "is not one of this list; accepted: next_page_token of the answer before, with the same "
          "filter");
    }
  }
  if (!violations.empty()) {
    return InvalidArgument(violations);
  }
  page.size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  page.matches = [&filter](const v1::TrainingJob& job) { return filter.Matches(job); };
  const storage::ListResult result = store_.List(page);
  v1::ListTrainingJobsResponse response;
  for (const storage::JobSnapshot& snapshot : result.jobs) {
    auto& job = *response.add_training_jobs();
    job = *snapshot;
    ClearMatrices(*job.mutable_spec());
  }
  if (result.next_before > 0) {
    response.set_next_page_token(absl::StrCat(result.next_before, digest));
  }
  return response;
}

absl::StatusOr<storage::JobSnapshot> Jobs::Cancel(const std::string& name) {
  const auto found = Find(name);
  if (!found.ok()) {
    return found.status();
  }
  const std::shared_ptr<Job>& job = *found;
  bool was_queued = false;
  {
    const base::MutexLock lock(&mutex_);
    const auto place = std::find(queue_.begin(), queue_.end(), job);
    if (place != queue_.end()) {
      queue_.erase(place);
      --places_taken_;
      was_queued = true;
    }
  }
  if (was_queued) {
    v1::TrainingJob form = *job->snapshot();
    form.set_state(v1::TrainingJob::STATE_CANCELLED);
    form.mutable_termination()->set_reason(v1::Termination::REASON_CANCELLED);
    Finish(job, std::move(form));
  } else if (!job->ended()) {
    job->stop().RequestStop();
  }
  return job->snapshot();
}

absl::Status Jobs::Delete(const std::string& name) {
  const auto found = Find(name);
  if (!found.ok()) {
    return found.status();
  }
  const std::shared_ptr<Job>& job = *found;
  if (!job->ended()) {
    return FailedPrecondition(
        "JOB_ACTIVE", name,
        absl::StrCat(name, " has not ended; accepted: an ended job (cancel it first)"));
  }
  absl::Status result;
  store_.Remove(name, [&result](const absl::Status& status) { result = status; });
  if (!result.ok()) {
    return JobNotFound(name, true);
  }
  const base::MutexLock lock(&mutex_);
  jobs_.erase(name);
  reserved_bytes_ -= static_cast<double>(job->reserved_bytes);
  return absl::OkStatus();
}

void Jobs::Preview(const v1::TrainingJobSpec& spec, PreviewDone done) {
  if (draining()) {
    return done(Draining());
  }
  spec::Violations violations;
  auto parsed = spec::ParseTrainingJobSpec(spec, options_.limits, violations);
  if (!violations.empty()) {
    return done(InvalidArgument(violations));
  }
  const v1::Forecast forecast = runner::ForecastCost(*parsed);
  if (absl::Status status = ReserveMemory(forecast, violations); !status.ok()) {
    return done(status);
  }
  admission_.Submit([this, parsed = *std::move(parsed), forecast, done = std::move(done)] {
    spec::Violations found;
    std::shared_ptr<const runner::PreparedJob> prepared;
    try {
      prepared = runner::Prepare(parsed, found);
    } catch (const std::bad_alloc&) {
      ReleaseMemory(static_cast<int64_t>(forecast.memory_bytes()));
      return done(ResourceExhausted("MEMORY_IN_USE", "memory",
                                    "the machine has no memory for this preview now", kRetryAfter));
    }
    ReleaseMemory(static_cast<int64_t>(forecast.memory_bytes()));
    if (!found.empty()) {
      return done(InvalidArgument(found));
    }
    v1::PreviewTrainingJobResponse response;
    *response.mutable_resolution() = prepared->resolution;
    *response.mutable_forecast() = runner::ForecastRun(*prepared);
    for (const std::string& warning : prepared->warnings) {
      response.add_warnings(warning);
    }
    done(std::move(response));
  });
}

void Jobs::Drain() {
  draining_.store(true, std::memory_order_release);
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [name, job] : jobs_) {
      job->stop().RequestStop();
    }
  }
  pulse_.WakeAll();
}

}  // namespace polyak::jobs
