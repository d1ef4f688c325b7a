#include "server/main/rebuild.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/clock.h"
#include "server/base/posix_file_system.h"
#include "server/base/status_macros.h"
#include "server/jobs/rebuild.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "server/telemetry/log.h"

namespace polyak::server {
namespace {

constexpr char kFile[] = "catalogue.db";
constexpr char kNewFile[] = "catalogue.db.rebuilt";
constexpr char kLog[] = "-wal";

using storage::SqliteJobStore;

absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenCatalogue(base::FileSystem& files,
                                                              const base::Clock& clock,
                                                              const std::string& directory,
                                                              const std::string& name) {
  SqliteJobStore::Options options;
  options.directory = directory;
  options.file_name = name;
  return SqliteJobStore::Open(files, clock, std::move(options));
}

// Whether the catalogue that is there may be replaced: there is none, or it is damaged.
absl::Status CheckReplaceable(base::FileSystem& files, const base::Clock& clock,
                              const std::string& directory) {
  POLYAK_ASSIGN_OR_RETURN(const bool exists, files.Exists(absl::StrCat(directory, "/", kFile)));
  if (!exists) {
    return absl::OkStatus();
  }
  absl::Status status;
  if (auto store = OpenCatalogue(files, clock, directory, kFile); store.ok()) {
    status = (*store)->LoadUids().status();
    status.Update((*store)->LoadUnfinished().status());
  } else {
    status = store.status();
  }
  if (absl::IsDataLoss(status)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "there is a catalogue that ",
      status.ok() ? "can be read" : absl::StrCat("is not damaged (", status.message(), ")"),
      ", and jobs that have not begun, ends of jobs and request ids are in it alone; accepted: "
      "--replace, which keeps it under another name, or no catalogue.db"));
}

absl::Status Copy(base::FileSystem& files, const std::string& from_path,
                  const std::string& to_path) {
  POLYAK_ASSIGN_OR_RETURN(const auto from, files.Open(from_path, base::FileSystem::Mode::kRead));
  POLYAK_ASSIGN_OR_RETURN(const auto to, files.Open(to_path, base::FileSystem::Mode::kCreate));
  std::string bytes(size_t{1} << 20, '\0');
  for (int64_t offset = 0;;) {
    POLYAK_ASSIGN_OR_RETURN(const int64_t count, from->Read(offset, bytes));
    if (count == 0) {
      return to->Sync();
    }
    POLYAK_RETURN_IF_ERROR(
        to->Write(offset, std::string_view{bytes}.substr(0, static_cast<size_t>(count))));
    offset += count;
  }
}

absl::Status RemoveIfThere(base::FileSystem& files, const std::string& path) {
  const absl::Status status = files.Remove(path);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// Copies what there is of the catalogue. Returns the copy's name; empty: there is nothing.
absl::StatusOr<std::string> KeepOld(base::FileSystem& files, const std::string& directory) {
  POLYAK_ASSIGN_OR_RETURN(const auto names, files.List(directory));
  const auto has = [&names](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!has(kFile) && !has(absl::StrCat(kFile, kLog))) {
    return std::string();
  }
  std::string kept;
  for (int number = 1; kept.empty() || has(kept) || has(kept + kLog); ++number) {
    kept = absl::StrCat("catalogue.db.old-", number);
  }
  for (const char* const ending : {"", kLog}) {
    if (has(absl::StrCat(kFile, ending))) {
      POLYAK_RETURN_IF_ERROR(Copy(files, absl::StrCat(directory, "/", kFile, ending),
                                  absl::StrCat(directory, "/", kept, ending)));
    }
  }
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  return kept;
}

absl::Status StoreInNewFile(base::FileSystem& files, const base::Clock& clock,
                            const std::string& directory, const jobs::RebuildPlan& plan) {
  for (const char* const ending : {"", kLog}) {  // of a rebuild that was cut off
    POLYAK_RETURN_IF_ERROR(RemoveIfThere(files, absl::StrCat(directory, "/", kNewFile, ending)));
  }
  {
    POLYAK_ASSIGN_OR_RETURN(const auto store, OpenCatalogue(files, clock, directory, kNewFile));
    POLYAK_RETURN_IF_ERROR(jobs::StoreJobs(plan, *store));
  }
  POLYAK_ASSIGN_OR_RETURN(const bool has_log,
                          files.Exists(absl::StrCat(directory, "/", kNewFile, kLog)));
  return has_log ? absl::UnavailableError("the new catalogue could not be closed")
                 : absl::OkStatus();
}

// The log of the old catalogue goes first: the new one must never be found beside it. Whoever is
// cut off in between starts again: the copy is whole.
absl::Status PutInPlace(base::FileSystem& files, const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/", kFile);
  POLYAK_RETURN_IF_ERROR(RemoveIfThere(files, path + kLog));
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  POLYAK_RETURN_IF_ERROR(files.Rename(absl::StrCat(directory, "/", kNewFile), path));
  return files.SyncDirectory(directory);
}

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

absl::Status RebuildIn(const RebuildCommand& command) {
  const std::string& directory = command.data_dir;
  if (directory.empty()) {
    return absl::InvalidArgumentError("--data-dir is missing; accepted: a server's directory");
  }
  POLYAK_ASSIGN_OR_RETURN(const auto lock, base::DirectoryLock::Acquire(directory));
  base::PosixFileSystem files;
  const base::SystemClock clock;
  if (!command.replace) {
    POLYAK_RETURN_IF_ERROR(CheckReplaceable(files, clock, directory));
  }
  POLYAK_ASSIGN_OR_RETURN(auto runs, storage::FindRuns(files, directory));
  const jobs::RebuildPlan plan = jobs::PlanRebuild(std::move(runs), command.with_lost);
  POLYAK_RETURN_IF_ERROR(StoreInNewFile(files, clock, directory, plan));
  POLYAK_ASSIGN_OR_RETURN(const std::string kept, KeepOld(files, directory));
  for (const storage::FoundRun& run : plan.restored) {
    if (run.is_lost) {
      POLYAK_RETURN_IF_ERROR(storage::BringBack(files, directory, run.uid));
    }
  }
  POLYAK_RETURN_IF_ERROR(PutInPlace(files, directory));
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
