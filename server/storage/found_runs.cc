#include "server/storage/found_runs.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/storage/job_files.h"
#include "server/storage/run_signature.h"
#include "server/storage/trace_file.h"

namespace polyak::storage {
namespace {

constexpr std::string_view kTraceEnding = ".trace";

absl::StatusOr<v1::TrainingJob> ReadJob(const TraceFile& file, const std::string& path) {
  POLYAK_ASSIGN_OR_RETURN(const std::string description, file.ReadDescription());
  v1::TrainingJob job;
  if (!job.ParseFromString(description.substr(SignatureOf(description).size()))) {
    return absl::DataLossError(absl::StrCat(path, ": its description is no job"));
  }
  return job;
}

// The rows of the last block that has a whole head.
absl::StatusOr<int64_t> CountRecords(const TraceFile& file) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t blocks, file.CountBlocks());
  for (int64_t block = blocks - 1; block >= 0; --block) {
    POLYAK_ASSIGN_OR_RETURN(const auto heads, file.ReadHeads(block));
    if (!heads.empty()) {
      return FirstRowOf(block) + heads[0].head.count;
    }
  }
  return 0;
}

absl::Status ReadRun(base::FileSystem& files, const std::string& path, FoundRun& run) {
  POLYAK_ASSIGN_OR_RETURN(const auto file,
                          TraceFile::Open(files, path, run.uid, base::FileSystem::Mode::kRead));
  POLYAK_ASSIGN_OR_RETURN(run.records, CountRecords(*file));
  run.job = ReadJob(*file, path);
  return run.job.status();
}

}  // namespace

bool IsUnreadable(const FoundRun& run) {
  return !run.job.ok() && !absl::IsDataLoss(run.job.status()) &&
         !absl::IsFailedPrecondition(run.job.status());
}

absl::StatusOr<std::vector<FoundRun>> FindRuns(base::FileSystem& files,
                                               const std::string& data_directory) {
  const JobFiles paths = {data_directory};
  std::vector<FoundRun> runs;
  for (const bool is_lost : {false, true}) {
    const std::string folder = is_lost ? paths.lost_directory() : paths.directory();
    const auto names = files.List(folder);
    if (absl::IsNotFound(names.status())) {
      continue;
    }
    POLYAK_RETURN_IF_ERROR(names.status());
    for (const std::string& name : *names) {
      if (name.ends_with(kTraceEnding)) {
        FoundRun run;
        run.uid = name.substr(0, name.size() - kTraceEnding.size());
        run.is_lost = is_lost;
        if (const absl::Status read = ReadRun(files, absl::StrCat(folder, "/", name), run);
            !read.ok()) {
          run.job = read;
        }
        runs.push_back(std::move(run));
      }
    }
  }
  return runs;
}

absl::Status BringBack(base::FileSystem& files, const std::string& data_directory,
                       const std::string& uid) {
  const JobFiles paths = {data_directory};
  POLYAK_ASSIGN_OR_RETURN(const bool exists, files.Exists(paths.TracePath(uid)));
  if (exists) {
    return absl::AlreadyExistsError(paths.TracePath(uid));
  }
  POLYAK_RETURN_IF_ERROR(files.CreateDirectory(paths.directory()));
  POLYAK_ASSIGN_OR_RETURN(const auto names, files.List(paths.lost_directory()));
  for (const std::string& name : names) {
    if (name.substr(0, name.find('.')) == uid) {
      POLYAK_RETURN_IF_ERROR(files.Rename(absl::StrCat(paths.lost_directory(), "/", name),
                                          absl::StrCat(paths.directory(), "/", name)));
    }
  }
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(paths.directory()));
  return files.SyncDirectory(paths.lost_directory());
}

}  // namespace polyak::storage
