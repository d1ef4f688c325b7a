#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/jobs/group.h"
#include "server/jobs/identity.h"
#include "server/jobs/jobs.h"
#include "server/spec/parse_names.h"
#include "server/spec/parse_training_job.h"

// The way of a request into the queue: parsed and checked on the caller's thread, prepared on an
// admission thread, stored, queued, answered.

namespace polyak::jobs {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

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

absl::Status IdTaken(const std::string& id) {
  return AlreadyExists("ID_TAKEN", absl::StrCat("training_job_id '", id,
                                                "' is taken; accepted: an unused id, or empty"));
}

absl::Status RequestIdReused(const std::string& request_id) {
  return AlreadyExists("REQUEST_ID_REUSED",
                       absl::StrCat("request_id '", request_id,
                                    "' was used for another request; accepted: an unused one, or "
                                    "the same request again"));
}

// The trace of a job begins with the job itself.
void AddSpec(const v1::TrainingJobSpec& spec, v1::Forecast& forecast) {
  forecast.set_disk_bytes(forecast.disk_bytes() + static_cast<double>(spec.ByteSizeLong()));
}

}  // namespace

struct Jobs::Admission {
  v1::CreateTrainingJobRequest request;
  storage::RequestKey key;
  spec::ExperimentSpec spec;
  double reserved_bytes = 0;
  JobDone done;
};

double Jobs::MemoryNeeded(const v1::Forecast& forecast) const {
  return forecast.memory_bytes() - (store_.survives_restart() ? forecast.trace_bytes() : 0);
}

absl::Status Jobs::CheckFits(const v1::Forecast& forecast, spec::Violations& violations) const {
  // A job that took more would be forgotten right after its end.
  const double disk_bytes = 0.9 * options_.limits.disk_bytes;
  if (forecast.disk_bytes() > disk_bytes) {
    violations.Add("spec",
                   absl::StrFormat("needs %.4g MB of disk, %.4g MB of it for the records of "
                                   "max_iterations iterations; accepted: up to %.4g MB on "
                                   "this server",
                                   forecast.disk_bytes() / 1e6, forecast.trace_bytes() / 1e6,
                                   disk_bytes / 1e6));
    return InvalidArgument(violations);
  }
  const double needed = MemoryNeeded(forecast);
  if (needed > options_.limits.memory_bytes) {
    const std::string trace =
        store_.survives_restart()
            ? ""
            : absl::StrFormat(", %.4g MB of it for the trace of max_iterations records",
                              forecast.trace_bytes() / 1e6);
    violations.Add("spec",
                   absl::StrFormat("needs %.4g MB of memory%s; accepted: up to %.4g MB on this "
                                   "server",
                                   needed / 1e6, trace, options_.limits.memory_bytes / 1e6));
    return InvalidArgument(violations);
  }
  if (forecast.setup_operations() > options_.limits.setup_operations) {
    violations.Add("spec",
                   absl::StrFormat("needs %.2g operations before its first record; accepted: "
                                   "up to %.2g on this server",
                                   forecast.setup_operations(), options_.limits.setup_operations));
    return InvalidArgument(violations);
  }
  return absl::OkStatus();
}

absl::Status Jobs::ReserveMemory(const v1::Forecast& forecast, spec::Violations& violations) {
  POLYAK_RETURN_IF_ERROR(CheckFits(forecast, violations));
  const double needed = MemoryNeeded(forecast);
  const base::MutexLock lock(&mutex_);
  if (reserved_bytes_ + needed > options_.limits.memory_bytes) {
    return ResourceExhausted(
        "MEMORY_IN_USE", "memory",
        absl::StrFormat(
            "the job needs %.4g MB, and %.4g of %.4g MB are in use by other jobs%s", needed / 1e6,
            reserved_bytes_ / 1e6, options_.limits.memory_bytes / 1e6,
            store_.survives_restart() ? "" : "; deleting ended jobs frees their records"),
        kRetryAfter);
  }
  reserved_bytes_ += needed;
  return absl::OkStatus();
}

void Jobs::ReleaseMemory(int64_t bytes) {
  const base::MutexLock lock(&mutex_);
  reserved_bytes_ -= static_cast<double>(bytes);
}

absl::StatusOr<std::shared_ptr<const void>> Jobs::HoldMemory(double bytes) {
  const auto whole = static_cast<int64_t>(std::ceil(bytes));
  {
    const base::MutexLock lock(&mutex_);
    if (reserved_bytes_ + static_cast<double>(whole) > options_.limits.memory_bytes) {
      return ResourceExhausted(
          "MEMORY_IN_USE", "memory",
          absl::StrFormat("the answer has to be computed, which takes %.4g MB, and %.4g of %.4g MB "
                          "are in use by jobs",
                          bytes / 1e6, reserved_bytes_ / 1e6, options_.limits.memory_bytes / 1e6),
          kRetryAfter);
    }
    reserved_bytes_ += static_cast<double>(whole);
  }
  return std::shared_ptr<const void>(this,
                                     [this, whole](const void* /*jobs*/) { ReleaseMemory(whole); });
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

void Jobs::RefuseAll(const v1::TrainingJobSpec& spec, const spec::Violations& violations,
                     std::function<void(absl::Status)> done) {
  const auto part = spec::ParsePreparablePart(spec, options_.limits);
  spec::Violations too_large;
  if (!part.has_value() || !ReserveMemory(runner::ForecastCost(*part), too_large).ok()) {
    return done(InvalidArgument(violations));
  }
  admission_.Submit([this, part = *part, found = violations, done = std::move(done)]() mutable {
    try {
      runner::Prepare(part, found);
    } catch (const std::bad_alloc&) {
      // What was found before is refusal enough.
    }
    ReleaseMemory(static_cast<int64_t>(MemoryNeeded(runner::ForecastCost(part))));
    done(InvalidArgument(found));
  });
}

void Jobs::Create(const v1::CreateTrainingJobRequest& request, JobDone done) {
  if (draining()) {
    return done(Draining());
  }
  if (const absl::Status usable =
          runner::CheckNamedDataset(request.spec(), options_.limits.datasets);
      !usable.ok()) {
    return RefuseUnlessAccepted(request, usable, std::move(done));
  }
  auto admission = std::make_shared<Admission>();
  spec::Violations violations = CheckRequest(request);
  auto parsed = spec::ParseTrainingJobSpec(request.spec(), options_.limits, violations);
  if (!violations.empty()) {
    return RefuseAll(request.spec(), violations, done);
  }
  admission->request = request;
  admission->key = {request.request_id(), request.request_id().empty() ? "" : Payload(request)};
  if (!BeginRequest(admission->key, done)) {
    return;
  }
  admission->spec = *std::move(parsed);
  admission->done = std::move(done);
  store_.FindRequest(admission->key, [this, admission](const auto& earlier) {
    if (absl::IsAlreadyExists(earlier.status())) {
      admission->done(AlreadyExists("REQUEST_ID_REUSED", std::string{earlier.status().message()}));
    } else if (!earlier.ok() || *earlier != nullptr) {
      admission->done(earlier.ok() ? earlier : WithDetails(earlier.status()));
    } else {
      CheckId(admission);
    }
  });
}

// What was accepted once is answered as before, whatever became of its data since.
void Jobs::RefuseUnlessAccepted(const v1::CreateTrainingJobRequest& request,
                                const absl::Status& why, JobDone done) {
  if (request.request_id().empty()) {
    return done(WithDetails(why));
  }
  store_.FindRequest({request.request_id(), Payload(request)},
                     [why, done = std::move(done)](const auto& earlier) {
                       earlier.ok() && *earlier != nullptr ? done(earlier) : done(WithDetails(why));
                     });
}

// The id is claimed when the job is stored; a look before spares the work for one that is taken.
void Jobs::CheckId(const std::shared_ptr<Admission>& admission) {
  const std::string& id = admission->request.training_job_id();
  if (id.empty()) {
    return Reserve(admission);
  }
  store_.Get(spec::JobName(id), [this, admission](const auto& job) {
    if (absl::IsNotFound(job.status())) {
      return Reserve(admission);
    }
    admission->done(job.ok() ? IdTaken(admission->request.training_job_id())
                             : WithDetails(job.status()));
  });
}

void Jobs::Reserve(const std::shared_ptr<Admission>& admission) {
  v1::Forecast forecast = runner::ForecastCost(admission->spec);
  AddSpec(admission->request.spec(), forecast);
  if (absl::Status status = TakePlace(); !status.ok()) {
    return admission->done(status);
  }
  spec::Violations violations;
  if (absl::Status status = ReserveMemory(forecast, violations); !status.ok()) {
    GiveBack(*admission);
    return admission->done(status);  // not under the lock, which the answer of a request id takes
  }
  admission->reserved_bytes = MemoryNeeded(forecast);
  if (draining()) {  // the threads of admission may be gone
    GiveBack(*admission);
    return admission->done(Draining());
  }
  admission_.Submit([this, admission] { Admit(admission); });
}

void Jobs::GiveBack(const Admission& admission) {
  const base::MutexLock lock(&mutex_);
  --places_taken_;
  reserved_bytes_ -= admission.reserved_bytes;
}

void Jobs::Admit(const std::shared_ptr<Admission>& admission) {
  spec::Violations violations;
  std::shared_ptr<const runner::PreparedJob> prepared;
  absl::Status status = draining() ? Draining() : WithDetails(runs_.CheckRoom());
  try {
    if (status.ok()) {
      status = WithDetails(runner::LoadData(admission->spec));
    }
    if (status.ok()) {
      prepared = runner::Prepare(admission->spec, violations, &known_);
      status = violations.empty() ? absl::OkStatus() : InvalidArgument(violations);
    }
  } catch (const std::bad_alloc&) {
    status = ResourceExhausted("MEMORY_IN_USE", "memory",
                               "the machine has no memory for this job now", kRetryAfter);
  }
  if (status.ok() && draining()) {
    status = Draining();  // since the preparation began: nothing accepted now would be run
  }
  if (!status.ok()) {
    GiveBack(*admission);
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
  *form->mutable_create_time() = Now();
  auto job = std::make_shared<Job>(form, std::move(prepared), options_.limits.datasets);
  job->group_key = GroupKey(*form);
  job->reserved_bytes = static_cast<int64_t>(admission->reserved_bytes);
  bool is_new = false;
  {
    // Before the store knows the job, so that whoever finds its name finds its records too.
    const base::MutexLock lock(&mutex_);
    is_new = unfinished_.emplace(form->name(), job).second;
  }
  if (!is_new) {
    GiveBack(*admission);
    return admission->done(IdTaken(id));
  }
  store_.Insert(form, admission->key, [this, admission, job, form](const absl::Status& status) {
    if (!status.ok()) {
      {
        const base::MutexLock lock(&mutex_);
        unfinished_.erase(form->name());
      }
      job->set_never_was();
      pulse_.Nudge();  // whoever found it meanwhile
      GiveBack(*admission);
      return admission->done(absl::IsAlreadyExists(status)
                                 ? AlreadyExists("ID_TAKEN", std::string{status.message()})
                                 : WithDetails(status));
    }
    {
      const base::MutexLock lock(&mutex_);
      queue_.push_back(job);
      MakeWay();
    }
    admission->done(WithLiveState(form));
    Schedule(&Jobs::RunNext);
  });
}

void Jobs::Preview(const v1::TrainingJobSpec& spec, PreviewDone done) {
  if (draining()) {
    return done(Draining());
  }
  if (absl::Status usable = runner::CheckNamedDataset(spec, options_.limits.datasets);
      !usable.ok()) {
    return done(WithDetails(usable));
  }
  spec::Violations violations;
  auto parsed = spec::ParseTrainingJobSpec(spec, options_.limits, violations);
  if (!violations.empty()) {
    return RefuseAll(spec, violations, done);
  }
  v1::Forecast forecast = runner::ForecastCost(*parsed);
  AddSpec(spec, forecast);
  if (absl::Status status = CheckFits(forecast, violations); !status.ok()) {
    return done(status);
  }
  // Nothing runs, so there will be no records.
  forecast.set_memory_bytes(forecast.memory_bytes() - forecast.trace_bytes());
  forecast.set_trace_bytes(0);
  if (absl::Status status = ReserveMemory(forecast, violations); !status.ok()) {
    return done(status);
  }
  admission_.Submit([this, parsed = *std::move(parsed), forecast,
                     done = std::move(done)]() mutable {
    spec::Violations found;
    std::shared_ptr<const runner::PreparedJob> prepared;
    absl::Status loaded;
    try {
      loaded = WithDetails(runner::LoadData(parsed));
      prepared = loaded.ok() ? runner::Prepare(parsed, found) : nullptr;
    } catch (const std::bad_alloc&) {
      ReleaseMemory(static_cast<int64_t>(forecast.memory_bytes()));
      return done(ResourceExhausted("MEMORY_IN_USE", "memory",
                                    "the machine has no memory for this preview now", kRetryAfter));
    }
    ReleaseMemory(static_cast<int64_t>(forecast.memory_bytes()));
    if (!loaded.ok()) {
      return done(loaded);
    }
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

}  // namespace polyak::jobs
