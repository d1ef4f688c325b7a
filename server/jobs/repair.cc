#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/jobs/guarded_trace.h"
#include "server/jobs/jobs.h"
#include "server/runner/prepare.h"
#include "server/runner/recompute.h"

// Damaged records of ended jobs are computed again: the first reader who meets them asks for it,
// and a worker that no job needs does it.

namespace polyak::jobs {
namespace {

constexpr char kUnderWay[] =
    "; what is damaged is being computed again from the job's spec: ask again later";

constexpr char kDoneMeanwhile[] = "; it has been computed again meanwhile: ask again";

// Without a limit of this server, since the job was accepted once: by the records that it has.
double MemoryToRepair(const v1::TrainingJob& job, const spec::NamedDatasets* datasets) {
  auto spec = runner::AcceptedSpec(job.spec(), datasets);
  if (!spec.has_value()) {
    return 0;  // there is no repair, which Recompute says
  }
  runner::KeepPlan(job, *spec);
  const v1::Forecast forecast = runner::ForecastCost(*spec);
  // Where no checksum is left, recomputed records wait in memory until the last one fits.
  const double records = static_cast<double>(job.summary().iterations()) + 1;
  constexpr double kRowBytes = sizeof(double) * static_cast<size_t>(engine::kTraceColumns);
  return forecast.memory_bytes() - forecast.trace_bytes() + 1.1 * records * kRowBytes;
}

bool IsForGood(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsDataLoss(status);
}

}  // namespace

std::shared_ptr<const storage::TraceReader> Jobs::Guarded(
    const storage::JobSnapshot& job, std::shared_ptr<const storage::TraceReader> trace,
    int repaired) {
  if (!store_.survives_restart() || !job->has_summary()) {
    return trace;
  }
  return std::make_shared<const GuardedTrace>(std::move(trace),
                                              [this, job, repaired](const absl::Status& error) {
                                                return NoteDamage(job, repaired, error);
                                              });
}

int Jobs::TimesRepaired(const std::string& uid) const {
  const base::MutexLock lock(&mutex_);
  const auto found = repaired_.find(uid);
  return found == repaired_.end() ? 0 : found->second;
}

absl::Status Jobs::NoteDamage(const storage::JobSnapshot& job, int repaired,
                              const absl::Status& error) {
  if (!absl::IsDataLoss(error) || error.GetPayload(kDetailsUrl).has_value() ||
      !store_.survives_restart() || !job->has_summary() || draining()) {
    return error;
  }
  bool asks = false;
  std::string outcome;
  {
    const base::MutexLock lock(&mutex_);
    if (const auto times = repaired_.find(job->uid());
        times != repaired_.end() && times->second > repaired) {
      return absl::DataLossError(absl::StrCat(std::string{error.message()}, kDoneMeanwhile));
    }
    RepairState& repair = repairs_[job->uid()];
    asks = !repair.under_way && !repair.refused;
    if (asks) {
      repair.under_way = true;
      repair_queue_.push_back(job);
    }
    outcome = repair.refused ? absl::StrCat("; it can't be repaired: ", repair.why) : kUnderWay;
    if (!repair.refused && !repair.why.empty()) {
      absl::StrAppend(&outcome, " (the last time it could not be: ", repair.why, ")");
    }
  }
  if (asks) {
    Schedule(&Jobs::RepairNext);
  }
  return absl::DataLossError(absl::StrCat(std::string{error.message()}, outcome));
}

void Jobs::MakeWay() {
  if (repair_stop_ != nullptr && running_ + std::ssize(queue_) >= options_.workers) {
    repair_stop_->RequestStop();
  }
}

void Jobs::ForgetRepair(const std::string& uid) {
  repairs_.erase(uid);
  repaired_.erase(uid);
  std::erase_if(repair_queue_, [&uid](const auto& job) { return job->uid() == uid; });
  if (repair_stop_ != nullptr && repairing_ == uid) {
    repair_stop_->RequestStop();
  }
}

void Jobs::RepairNext() {
  storage::JobSnapshot job;
  std::shared_ptr<base::StopToken> stop;
  {
    const base::MutexLock lock(&mutex_);
    if (draining() || repair_queue_.empty() || repair_stop_ != nullptr) {
      return;  // the one that is under way looks for the next one
    }
    if (queue_.empty()) {
      job = std::move(repair_queue_.front());
      repair_queue_.pop_front();
      repairing_ = job->uid();
      stop = repair_stop_ = std::make_shared<base::StopToken>();
    }
  }
  if (job == nullptr) {
    Schedule(&Jobs::RepairNext);  // behind the jobs that wait
    return;
  }
  EndRepair(job, Repair(*job, *stop));
}

absl::Status Jobs::Repair(const v1::TrainingJob& job, const base::StopToken& stop) {
  const double needed = MemoryToRepair(job, options_.limits.datasets);
  if (needed > options_.limits.memory_bytes) {
    return absl::FailedPreconditionError(
        absl::StrFormat("that needs %.4g MB of memory, and this server has %.4g MB for all jobs",
                        needed / 1e6, options_.limits.memory_bytes / 1e6));
  }
  {
    const base::MutexLock lock(&mutex_);
    if (reserved_bytes_ + needed > options_.limits.memory_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrFormat("that needs %.4g MB of memory, and %.4g of %.4g MB are in use by jobs",
                          needed / 1e6, reserved_bytes_ / 1e6, options_.limits.memory_bytes / 1e6));
    }
    reserved_bytes_ += needed;
  }
  if (options_.on_repair) {
    options_.on_repair(job, RepairStep::kBegun, absl::OkStatus());
  }
  // It may have been deleted since it was read; from now on its deletion stops the repair.
  std::promise<absl::Status> known;
  store_.Get(job.name(), [&](const absl::StatusOr<storage::JobSnapshot>& stored) {
    known.set_value(stored.ok() && (*stored)->uid() != job.uid() ? absl::NotFoundError("deleted")
                                                                 : stored.status());
  });
  absl::Status status = known.get_future().get();
  if (status.ok()) {
    // Other jobs make room for one that can be mended alone.
    status = runner::Recompute(job, runs_, stop, clock_, options_.limits.datasets,
                               [&] { return MakeRoomToRepair(job, stop); });
  }
  const base::MutexLock lock(&mutex_);
  reserved_bytes_ -= needed;
  return status;
}

void Jobs::EndRepair(const storage::JobSnapshot& job, const absl::Status& status) {
  std::shared_ptr<const storage::TraceReader> mended;
  if (status.ok()) {
    {
      const base::MutexLock lock(&mutex_);
      ++repaired_[job->uid()];
    }
    if (auto trace = runs_.OpenTrace(*job); trace.ok()) {
      mended = Guarded(job, *std::move(trace), TimesRepaired(job->uid()));
    }
  }
  {
    const base::MutexLock lock(&mutex_);
    repair_stop_ = nullptr;
    repairing_.clear();
    const auto entry = repairs_.find(job->uid());
    const bool again = absl::IsCancelled(status) && entry != repairs_.end() && !draining();
    if (again) {
      repair_queue_.push_back(job);  // it made way for a job
    } else if (status.ok()) {
      repairs_.erase(job->uid());
    } else if (entry != repairs_.end()) {
      entry->second = {false, IsForGood(status), std::string{status.message()}};
    }
    const auto opened = opened_.find(job->name());
    const auto reader = opened == opened_.end() ? nullptr : opened->second.lock();
    if (mended != nullptr && reader != nullptr && reader->snapshot()->uid() == job->uid()) {
      reader->set_trace(mended);
    }
  }
  if (options_.on_repair) {
    options_.on_repair(*job,
                       status.ok()         ? RepairStep::kDone
                       : IsForGood(status) ? RepairStep::kRefused
                                           : RepairStep::kPutOff,
                       status);
  }
  Schedule(&Jobs::RepairNext);
}

}  // namespace polyak::jobs
