#include "server/storage/catalogue/rebuilt_catalogue.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/storage/catalogue/connection.h"
#include "server/storage/catalogue/copy_file.h"
#include "server/storage/job_files.h"

namespace polyak::storage {
namespace {

constexpr char kFile[] = "catalogue.db";
constexpr char kRebuiltFile[] = "catalogue.db.rebuilt";
// What SQLite would take for a part of the file beside which it lies: the log, and what a first
// start that was cut off leaves.
constexpr std::array kPartEndings = {"-wal", "-journal"};

std::string PathOf(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenCatalogue(base::FileSystem& files,
                                                              const base::Clock& clock,
                                                              const std::string& directory,
                                                              const std::string& name) {
  SqliteJobStore::Options options;
  options.directory = directory;
  options.file_name = name;
  return SqliteJobStore::Open(files, clock, std::move(options));
}

// The parts of a catalogue but its file.
absl::Status RemoveParts(base::FileSystem& files, const std::string& path) {
  for (const char* const ending : kPartEndings) {
    const absl::Status status = files.Remove(path + ending);
    POLYAK_RETURN_IF_ERROR(absl::IsNotFound(status) ? absl::OkStatus() : status);
  }
  return absl::OkStatus();
}

absl::Status CheckClosed(base::FileSystem& files, const std::string& path) {
  POLYAK_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  POLYAK_ASSIGN_OR_RETURN(const bool has_log, files.Exists(path + "-wal"));
  return exists && !has_log
             ? absl::OkStatus()
             : absl::FailedPreconditionError("the new catalogue was not made, or not closed");
}

// Takes the name from what there is of the catalogue, after its parts have been copied: whoever is
// cut off finds the file with its parts under the one name or the other. Returns the other one;
// empty: there is nothing.
absl::StatusOr<std::string> KeepCatalogue(base::FileSystem& files, const std::string& directory) {
  POLYAK_ASSIGN_OR_RETURN(const auto names, files.List(directory));
  const auto has = [&names](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto has_any = [&has](const std::string& name) {
    return has(name) || std::any_of(kPartEndings.begin(), kPartEndings.end(),
                                    [&](const char* ending) { return has(name + ending); });
  };
  if (!has_any(kFile)) {
    return std::string();
  }
  std::string kept;
  for (int number = 1; kept.empty() || has_any(kept); ++number) {
    kept = absl::StrCat(kFile, ".old-", number);
  }
  const std::string path = PathOf(directory, kFile);
  const std::string kept_path = PathOf(directory, kept);
  for (const char* const ending : kPartEndings) {
    if (has(absl::StrCat(kFile, ending))) {
      POLYAK_RETURN_IF_ERROR(
          CopyFile(files, path + ending, kept_path + ending, base::FileSystem::Mode::kCreate));
    }
  }
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  if (has(kFile)) {
    POLYAK_RETURN_IF_ERROR(files.Rename(path, kept_path));
    POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  }
  return kept;
}

// Whether there is a catalogue. An empty file is none: SQLite makes one before the first job is in
// it, and what empties it later has lost the jobs.
absl::StatusOr<bool> IsThere(base::FileSystem& files, const std::string& path) {
  const auto file = files.Open(path, base::FileSystem::Mode::kRead);
  if (absl::IsNotFound(file.status())) {
    return false;
  }
  POLYAK_RETURN_IF_ERROR(file.status());
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, (*file)->Size());
  return size > 0;
}

absl::StatusOr<int64_t> CountTraces(base::FileSystem& files, const std::string& directory) {
  const auto names = files.List(JobFiles{directory}.directory());
  if (absl::IsNotFound(names.status())) {
    return 0;
  }
  POLYAK_RETURN_IF_ERROR(names.status());
  return std::count_if(names->begin(), names->end(),
                       [](const std::string& name) { return name.ends_with(".trace"); });
}

// What SQLite finds wrong with a catalogue; empty: nothing.
std::string DamageOf(base::FileSystem& files, const std::string& path) {
  const auto found = [&]() -> absl::StatusOr<std::string> {
    POLYAK_ASSIGN_OR_RETURN(const auto connection, Connection::Open(files, path));
    return connection->Try([&]() -> absl::StatusOr<std::string> {
      return connection->database().execAndGet("PRAGMA integrity_check(1)").getString();
    });
  }();
  return !found.ok() ? std::string{found.status().message()} : *found == "ok" ? "" : *found;
}

}  // namespace

absl::Status CheckCatalogueInPlace(base::FileSystem& files, const std::string& directory) {
  POLYAK_ASSIGN_OR_RETURN(const bool exists, IsThere(files, PathOf(directory, kFile)));
  if (exists) {
    return absl::OkStatus();
  }
  POLYAK_ASSIGN_OR_RETURN(const bool rebuilt, files.Exists(PathOf(directory, kRebuiltFile)));
  if (rebuilt) {
    return absl::FailedPreconditionError(
        absl::StrCat("polyakd rebuild was cut off here: there is ", kRebuiltFile, " and no ", kFile,
                     ", and a server would begin with no job at all; accepted: polyakd rebuild, "
                     "run once more, which makes the catalogue anew and loses no record"));
  }
  POLYAK_ASSIGN_OR_RETURN(const int64_t traces, CountTraces(files, directory));
  return traces == 0 ? absl::OkStatus()
                     : absl::FailedPreconditionError(absl::StrCat(
                           "there are the traces of ", traces, " jobs and no ", kFile,
                           ", and a server would begin without them; accepted: polyakd rebuild, "
                           "which makes the catalogue of the traces, or another directory"));
}

absl::Status CheckReplaceable(base::FileSystem& files, const base::Clock& clock,
                              const std::string& directory) {
  POLYAK_ASSIGN_OR_RETURN(const bool exists, IsThere(files, PathOf(directory, kFile)));
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
  const std::string damage = status.ok() ? DamageOf(files, PathOf(directory, kFile)) : "";
  return absl::FailedPreconditionError(absl::StrCat(
      "there is a catalogue that ",
      !status.ok()     ? absl::StrCat("is not damaged (", std::string{status.message()}, ")")
      : damage.empty() ? "can be read"
                       : absl::StrCat("can be read, but is not in order (", damage, ")"),
      ", and jobs that have not begun, ends of jobs and request ids are in it alone; accepted: "
      "--replace, which keeps it under another name, or no catalogue.db"));
}

absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenRebuilt(base::FileSystem& files,
                                                            const base::Clock& clock,
                                                            const std::string& directory) {
  const std::string path = PathOf(directory, kRebuiltFile);
  POLYAK_RETURN_IF_ERROR(RemoveParts(files, path));
  // Cut to nothing, not removed: where there is no catalogue.db, its being there is what keeps a
  // server from beginning an empty one.
  POLYAK_RETURN_IF_ERROR(files.Open(path, base::FileSystem::Mode::kOverwrite).status());
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  return OpenCatalogue(files, clock, directory, kRebuiltFile);
}

absl::StatusOr<std::string> ReplaceCatalogue(base::FileSystem& files,
                                             const std::string& directory) {
  const std::string path = PathOf(directory, kFile);
  const std::string rebuilt = PathOf(directory, kRebuiltFile);
  POLYAK_RETURN_IF_ERROR(CheckClosed(files, rebuilt));
  POLYAK_ASSIGN_OR_RETURN(std::string kept, KeepCatalogue(files, directory));
  // SQLite would take the old one's log for that of the new one.
  POLYAK_RETURN_IF_ERROR(RemoveParts(files, path));
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  POLYAK_RETURN_IF_ERROR(files.Rename(rebuilt, path));
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(directory));
  return kept;
}

}  // namespace polyak::storage
