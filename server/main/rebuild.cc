#include "server/main/rebuild.h"

#include <iostream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/clock.h"
#include "server/base/posix_file_system.h"
#include "server/base/status_macros.h"
#include "server/jobs/rebuild.h"
#include "server/storage/catalogue/rebuilt_catalogue.h"
#include "server/storage/found_runs.h"
#include "server/telemetry/log.h"

namespace polyak::server {
namespace {

void Print(const jobs::RebuildPlan& plan, const std::string& kept) {
  int64_t records = 0;
  for (const storage::FoundRun& run : plan.restored) {
    records += run.records;
    std::cout << "restored " << run.job->name() << ": " << run.records << " records"
              << (run.is_lost ? ", from the folder lost" : "") << "\n";
  }
  for (const auto& [run, why] : plan.left_out) {
    std::cout << "left out " << telemetry::Escape(run.uid)
              << (run.is_lost ? " in the folder lost: " : ": ") << telemetry::Escape(why) << "\n";
  }
  std::cout << plan.restored.size() << " jobs restored with " << records << " records; "
            << plan.left_out.size() << " traces left out\n";
  if (plan.lost > 0) {
    std::cout << plan.lost << " traces in the folder lost were not looked at; --with-lost does\n";
  }
  if (!kept.empty()) {
    std::cout << "the old catalogue is kept as " << kept << "\n";
  }
}

absl::Status CheckNothingUnreadable(const jobs::RebuildPlan& plan) {
  int count = 0;
  std::string first;
  for (const auto& [run, why] : plan.left_out) {
    if (storage::IsUnreadable(run) && ++count == 1) {
      first = telemetry::Escape(why);
    }
  }
  return count == 0 ? absl::OkStatus()
                    : absl::UnavailableError(absl::StrCat(
                          count, " traces can't be read now, the first: ", first,
                          "; nothing was changed; accepted: once more, or --leave-unreadable, "
                          "which goes on without them"));
}

// Whether there is anything to make a catalogue of, or for.
absl::Status CheckHeldJobs(base::FileSystem& files, const std::string& directory, bool has_runs) {
  bool found = has_runs;
  for (const char* const name : {"/catalogue.db", "/catalogue.db.rebuilt", "/jobs"}) {
    POLYAK_ASSIGN_OR_RETURN(const bool exists, files.Exists(directory + name));
    found = found || exists;
  }
  return found ? absl::OkStatus()
               : absl::FailedPreconditionError(
                     "there is neither a trace nor a catalogue in it; accepted: the directory of a "
                     "server that held jobs");
}

absl::Status RebuildIn(const RebuildCommand& command) {
  const std::string& directory = command.data_dir;
  if (directory.empty()) {
    return absl::InvalidArgumentError("--data-dir is missing; accepted: a server's directory");
  }
  POLYAK_ASSIGN_OR_RETURN(const auto lock, base::DirectoryLock::Acquire(directory));
  base::PosixFileSystem files;
  const base::SystemClock clock;
  if (!command.replace) {
    POLYAK_RETURN_IF_ERROR(storage::CheckReplaceable(files, clock, directory));
  }
  POLYAK_ASSIGN_OR_RETURN(auto runs, storage::FindRuns(files, directory));
  POLYAK_RETURN_IF_ERROR(CheckHeldJobs(files, directory, !runs.empty()));
  const jobs::RebuildPlan plan = jobs::PlanRebuild(std::move(runs), command.with_lost);
  if (!command.leave_unreadable) {
    POLYAK_RETURN_IF_ERROR(CheckNothingUnreadable(plan));
  }
  {
    POLYAK_ASSIGN_OR_RETURN(const auto store, storage::OpenRebuilt(files, clock, directory));
    POLYAK_RETURN_IF_ERROR(jobs::StoreJobs(plan, *store));
  }
  // Before the catalogue that knows them: a server that does not find them would begin anew.
  for (const storage::FoundRun& run : plan.restored) {
    if (run.is_lost) {
      POLYAK_RETURN_IF_ERROR(storage::BringBack(files, directory, run.uid));
    }
  }
  POLYAK_ASSIGN_OR_RETURN(const std::string kept, storage::ReplaceCatalogue(files, directory));
  Print(plan, kept);
  return absl::OkStatus();
}

}  // namespace

int Rebuild(const RebuildCommand& command) {
  const absl::Status status = RebuildIn(command);
  if (!status.ok()) {
    std::cerr << "polyakd: rebuild: '" << command.data_dir << "': " << status.message() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace polyak::server
