#include "server/storage/file_run_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"
#include "server/storage/checkpoint.h"
#include "server/storage/file_trace.h"
#include "server/storage/trace_block.h"
#include "server/storage/trace_header.h"
#include "server/storage/trace_repair.h"

namespace polyak::storage {
namespace {

constexpr std::string_view kUnnamedTrace = ".trace.new";
constexpr double kAgreement = 1e-9;  // of a column's largest value so far

// Whether a value that another build or class of processor computes is that of the first one.
bool AgreeToRounding(double tolerance, double stored, double recomputed, double largest_so_far) {
  if (std::isnan(stored) || std::isnan(recomputed)) {
    return std::isnan(stored) && std::isnan(recomputed);
  }
  return stored == recomputed || std::abs(stored - recomputed) <= tolerance * largest_so_far;
}

// With parameters from the theorem 1e-9; others let rounding grow with sqrt(kappa).
double ToleranceOf(const v1::TrainingJob& job) {
  const v1::Optimizer& optimizer = job.spec().optimizer();
  const bool chosen =
      optimizer.gradient_descent().has_step_size() || optimizer.polyak_momentum().has_step_size() ||
      optimizer.polyak_momentum().has_momentum() || optimizer.nesterov_momentum().has_step_size() ||
      optimizer.nesterov_momentum().has_momentum();
  if (!chosen && optimizer.tuning() != v1::TUNING_ASYMPTOTIC) {
    return kAgreement;
  }
  const double condition_number = job.resolution().prediction().condition_number();
  return std::max(kAgreement,
                  1e4 * std::numeric_limits<double>::epsilon() * std::sqrt(condition_number));
}

// Errors: FailedPrecondition unless they are the same.
absl::Status CheckSignature(const std::string& there, const std::string& here) {
  return there == here
             ? absl::OkStatus()
             : absl::FailedPreconditionError(absl::StrCat(
                   "it was computed by ", InOneLine(there), ", and this is ", InOneLine(here),
                   ": only the same build on the same class of processor gives the same "
                   "bits"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileRunStore>> FileRunStore::Open(base::FileSystem& files,
                                                                 const std::string& data_directory,
                                                                 const Options& options) {
  const std::string directory = JobFiles{data_directory}.directory();
  POLYAK_RETURN_IF_ERROR(files.CreateDirectory(directory));
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(data_directory));
  POLYAK_ASSIGN_OR_RETURN(
      auto disk, DiskBudget::Open(files, {directory, options.disk_bytes, options.reserve_bytes}));
  // A server that ended in the middle of a repair leaves its copy.
  POLYAK_ASSIGN_OR_RETURN(const auto names, disk->List(directory));
  for (const std::string& name : names) {
    if (name.ends_with(kUnnamedTrace)) {
      POLYAK_RETURN_IF_ERROR(disk->Remove(absl::StrCat(directory, "/", name)));
    }
  }
  return std::unique_ptr<FileRunStore>(new FileRunStore(data_directory, options, std::move(disk)));
}

int FileRunStore::ColumnsOf(const v1::TrainingJob& job) const {
  return options_.columns +
         (job.spec().diagnostics_interval() > 0 ? options_.diagnostic_columns : 0);
}

absl::StatusOr<std::shared_ptr<Trace>> FileRunStore::OpenTrace(const v1::TrainingJob& job) {
  const std::string path = paths_.TracePath(job.uid());
  if (job.has_end_time() && job.has_summary()) {
    return FileTrace::OpenToRead(*disk_, path, job.uid(), job.summary().iterations() + 1);
  }
  // The trace was synced before each checkpoint.
  const auto checkpoint = storage::OpenCheckpoint(*disk_, paths_.CheckpointPath(job.uid()),
                                                  job.uid(), std::numeric_limits<int64_t>::max());
  const int64_t rows_known_durable = checkpoint.ok() ? checkpoint->head.iteration + 1 : 0;
  auto trace = FileTrace::OpenToWrite(*disk_, path, job.uid(), rows_known_durable);
  const std::string signature = Signature(options_.machine);
  if (absl::IsNotFound(trace.status()) && !job.has_end_time()) {
    return FileTrace::Create(*disk_, path, job.uid(), ColumnsOf(job),
                             absl::StrCat(signature, job.SerializeAsString()));
  }
  if (!trace.ok()) {
    return trace.status();
  }
  if ((*trace)->columns() != ColumnsOf(job)) {
    return absl::DataLossError(absl::StrCat("the trace has ", (*trace)->columns(),
                                            " columns, and the job's spec asks for ",
                                            ColumnsOf(job)));
  }
  POLYAK_ASSIGN_OR_RETURN(const std::string description, (*trace)->ReadDescription());
  if (!description.starts_with(signature)) {
    (*trace)->set_agree([tolerance = ToleranceOf(job), columns = options_.columns](
                            int column, double stored, double recomputed, double largest) {
      // Rounding decides on which iteration an activation flips that comes to its kink, and a flip
      // has no tolerance: of diagnostics it is only compared which rows have them.
      return column >= columns ? std::isnan(stored) == std::isnan(recomputed)
                               : AgreeToRounding(tolerance, stored, recomputed, largest);
    });
  }
  return trace;
}

absl::Status FileRunStore::CheckMachine(const v1::TrainingJob& job,
                                        const std::optional<std::string>& description) const {
  const Machine& here = options_.machine;
  if (description.has_value()) {
    return CheckSignature(SignatureOf(*description), Signature(here));
  }
  const auto head = ReadCheckpointHead(*disk_, paths_.CheckpointPath(job.uid()), job.uid());
  if (head.ok()) {
    POLYAK_RETURN_IF_ERROR(CheckSignature(
        Signature({head->build, head->processor, head->float_control}), Signature(here)));
  } else if (!absl::IsNotFound(head.status())) {
    return head.status();  // a later try can help
  } else if (job.computations().empty() || job.computations(0).first_iteration() != 0) {
    return absl::FailedPreconditionError(
        "neither the header of its trace, nor that of a checkpoint, nor the catalogue says which "
        "build on which processor computed it");
  }
  // These know no floating-point control word: what is recomputed under another one is found out by
  // what is whole, or by the summary.
  for (const v1::Computation& computation : job.computations()) {
    POLYAK_RETURN_IF_ERROR(
        CheckSignature(Signature({computation.build(), computation.processor(), 0}),
                       Signature({here.build, here.processor, 0})));
  }
  return absl::OkStatus();
}

absl::Status FileRunStore::CheckRepairable(const v1::TrainingJob& job) const {
  POLYAK_ASSIGN_OR_RETURN(
      const TraceRemains remains,
      LookAtRemains(*disk_, paths_.TracePath(job.uid()), job.uid(), ColumnsOf(job)));
  return CheckMachine(job, remains.description);
}

absl::StatusOr<std::unique_ptr<TraceRepair>> FileRunStore::OpenRepair(const v1::TrainingJob& job) {
  const std::string path = paths_.TracePath(job.uid());
  POLYAK_ASSIGN_OR_RETURN(const TraceRemains remains,
                          LookAtRemains(*disk_, path, job.uid(), ColumnsOf(job)));
  POLYAK_RETURN_IF_ERROR(CheckMachine(job, remains.description));
  v1::TrainingJob begun = job;  // as it was when it began
  begun.set_state(v1::TrainingJob::STATE_RUNNING);
  begun.clear_end_time();
  begun.clear_termination();
  begun.clear_summary();
  return FileTraceRepair::Open(*disk_, path, job.uid(), ColumnsOf(job), remains,
                               absl::StrCat(Signature(options_.machine), begun.SerializeAsString()),
                               job.summary().iterations() + 1);
}

absl::StatusOr<int64_t> FileRunStore::RepairBytes(const v1::TrainingJob& job) const {
  const int64_t last = job.summary().iterations();
  const int64_t blocks = BlockOf(last) + 1;
  const TraceHeader header =
      MakeTraceHeader(job.uid(), ColumnsOf(job),
                      absl::StrCat(Signature(options_.machine), job.SerializeAsString()));
  int64_t bytes = header.first_block() + blocks * BlockLayout{ColumnsOf(job)}.block_bytes();
  const std::string path = paths_.CheckpointPath(job.uid());
  const auto checkpoint = storage::OpenCheckpoint(*disk_, path, job.uid(), last);
  if (!checkpoint.ok() && !absl::IsNotFound(checkpoint.status()) &&
      !absl::IsDataLoss(checkpoint.status())) {
    return checkpoint.status();
  }
  if (!checkpoint.ok() || checkpoint->head.iteration != last) {
    // All of a job are about as large.
    bytes += std::max(disk_->CountedBytes(path), disk_->CountedBytes(path + ".previous"));
  }
  return bytes;
}

absl::Status FileRunStore::CheckBudgetBeside(int64_t bytes,
                                             std::span<const std::string> uids) const {
  int64_t total = bytes;
  for (const std::string& uid : uids) {
    for (const std::string& path : PathsOf(uid)) {
      total += disk_->CountedBytes(path);
    }
  }
  if (!options_.disk_bytes.has_value() || total <= *options_.disk_bytes) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("%.4g MB more, with %.4g MB that can't go, are above the %.4g MB that the "
                      "files of all jobs may take",
                      static_cast<double>(bytes) / 1e6, static_cast<double>(total - bytes) / 1e6,
                      static_cast<double>(*options_.disk_bytes) / 1e6));
}

std::vector<std::string> FileRunStore::PathsOf(const std::string& uid) const {
  std::vector<std::string> paths = {paths_.TracePath(uid) + ".new", paths_.TracePath(uid)};
  for (const char* const ending : {"", ".previous", ".new"}) {
    paths.push_back(paths_.CheckpointPath(uid) + ending);
  }
  return paths;
}

absl::Status FileRunStore::WriteCheckpoint(const std::string& uid, int64_t iteration,
                                           double elapsed_seconds,
                                           const std::function<void(base::ByteSink&)>& save) {
  CheckpointHead head;
  head.uid = uid;
  head.iteration = iteration;
  head.elapsed_seconds = elapsed_seconds;
  head.build = options_.machine.build;
  head.processor = options_.machine.processor;
  head.float_control = options_.machine.float_control;
  return storage::WriteCheckpoint(*disk_, paths_.CheckpointPath(uid), head, save);
}

absl::StatusOr<Checkpoint> FileRunStore::OpenCheckpoint(const std::string& uid,
                                                        int64_t iteration_max) const {
  POLYAK_ASSIGN_OR_RETURN(
      auto opened, storage::OpenCheckpoint(*disk_, paths_.CheckpointPath(uid), uid, iteration_max));
  return Checkpoint{opened.head.iteration, opened.head.elapsed_seconds, std::move(opened.payload),
                    std::move(opened.passed_over)};
}

absl::Status FileRunStore::SetAside(const std::string& uid) {
  POLYAK_RETURN_IF_ERROR(disk_->CreateDirectory(paths_.lost_directory()));
  POLYAK_RETURN_IF_ERROR(disk_->SyncDirectory(paths_.data_directory));
  POLYAK_ASSIGN_OR_RETURN(const auto names, disk_->List(paths_.directory()));
  for (const std::string& name : names) {
    if (name.substr(0, name.find('.')) == uid) {
      POLYAK_RETURN_IF_ERROR(disk_->Rename(absl::StrCat(paths_.directory(), "/", name),
                                           absl::StrCat(paths_.lost_directory(), "/", name)));
    }
  }
  POLYAK_RETURN_IF_ERROR(disk_->SyncDirectory(paths_.lost_directory()));
  return disk_->SyncDirectory(paths_.directory());
}

absl::Status FileRunStore::Remove(const std::string& uid) {
  absl::Status status;
  // The first one is left by a process that ended while it made the trace, or belongs to a repair,
  // which then can't put it in the other one's place any more.
  for (const std::string& path : {paths_.TracePath(uid) + ".new", paths_.TracePath(uid)}) {
    const absl::Status removed = disk_->Remove(path);
    status.Update(absl::IsNotFound(removed) ? absl::OkStatus() : removed);
  }
  status.Update(RemoveCheckpoints(*disk_, paths_.CheckpointPath(uid)));
  status.Update(disk_->SyncDirectory(paths_.directory()));
  return status;
}

absl::StatusOr<std::vector<std::string>> FileRunStore::ListUids() const {
  POLYAK_ASSIGN_OR_RETURN(const auto names, disk_->List(paths_.directory()));
  std::set<std::string> uids;
  for (const std::string& name : names) {
    uids.insert(name.substr(0, name.find('.')));
  }
  return std::vector<std::string>(uids.begin(), uids.end());
}

}  // namespace polyak::storage
