#include "server/storage/checkpoint.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/storage/checkpoint_file.h"

namespace polyak::storage {
namespace {

using base::File;
using base::FileSystem;

std::string PreviousPath(const std::string& path) { return path + ".previous"; }
std::string NewPath(const std::string& path) { return path + ".new"; }

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

absl::Status OkIfNotFound(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// Does the second rename of a checkpoint that was cut off between the two: its file may be the only
// whole one, and must not be overwritten by the next. Where the first one ever was cut off, this
// names a torn file the current one, which does no harm.
absl::Status FinishInterrupted(FileSystem& files, const std::string& path) {
  POLYAK_ASSIGN_OR_RETURN(const bool has_current, files.Exists(path));
  if (has_current) {
    return absl::OkStatus();
  }
  const absl::Status renamed = files.Rename(NewPath(path), path);
  if (absl::IsNotFound(renamed)) {
    return absl::OkStatus();
  }
  POLYAK_RETURN_IF_ERROR(renamed);
  return files.SyncDirectory(DirectoryOf(path));
}

// The whole of the new file, durable under its own name. The header comes last: until then the file
// starts with zeros, which are no checkpoint.
absl::Status WriteNew(FileSystem& files, const std::string& path, File& file,
                      const CheckpointHead& head,
                      const std::function<void(base::ByteSink&)>& save) {
  FileSink sink(file, CheckpointHeaderSize(head));
  save(sink);
  POLYAK_RETURN_IF_ERROR(sink.Finish());
  POLYAK_RETURN_IF_ERROR(file.Write(0, EncodeCheckpointHeader(head, sink.payload())));
  POLYAK_RETURN_IF_ERROR(file.Sync());
  // The new name must last before the renames begin: they may replace the only whole checkpoint, if
  // the current one was damaged.
  return files.SyncDirectory(DirectoryOf(path));
}

// A file that may be the one.
struct Candidate {
  std::string path;
  std::unique_ptr<File> file;
  CheckpointHeader header;
};

absl::Status CheckHead(const CheckpointHead& head, const std::string& uid) {
  return head.uid == uid ? absl::OkStatus()
                         : absl::DataLossError(absl::StrCat("it is of the job ", head.uid));
}

absl::StatusOr<Candidate> OpenCandidate(FileSystem& files, const std::string& path,
                                        const std::string& uid) {
  Candidate candidate;
  candidate.path = path;
  POLYAK_ASSIGN_OR_RETURN(candidate.file, files.Open(path, FileSystem::Mode::kRead));
  POLYAK_ASSIGN_OR_RETURN(candidate.header, ReadCheckpointHeader(*candidate.file));
  POLYAK_RETURN_IF_ERROR(CheckHead(candidate.header.head, uid));
  return candidate;
}

// What is wrong with the files passed over, and whether that is the disk's mood and not theirs.
struct Damages {
  void Add(const std::string& path, const absl::Status& status) {
    texts.push_back(absl::StrCat(path, ": ", std::string{status.message()}));
    if (unreadable.ok() && !absl::IsDataLoss(status)) {
      unreadable = status;
    }
  }
  std::vector<std::string> texts;
  absl::Status unreadable;
};

// Newest first; of equals the current one first.
std::vector<Candidate> FindCandidates(FileSystem& files, const std::string& path,
                                      const std::string& uid, int64_t iteration_max,
                                      Damages& damages) {
  std::vector<Candidate> candidates;
  for (const std::string& name : {path, PreviousPath(path), NewPath(path)}) {
    absl::StatusOr<Candidate> candidate = OpenCandidate(files, name, uid);
    if (!candidate.ok()) {
      if (!absl::IsNotFound(candidate.status())) {
        damages.Add(name, candidate.status());
      }
    } else if (candidate->header.head.iteration <= iteration_max) {
      candidates.push_back(*std::move(candidate));
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return a.header.head.iteration > b.header.head.iteration;
                   });
  return candidates;
}

}  // namespace

absl::Status WriteCheckpoint(FileSystem& files, const std::string& path, const CheckpointHead& head,
                             const std::function<void(base::ByteSink&)>& save) {
  POLYAK_RETURN_IF_ERROR(FinishInterrupted(files, path));
  const std::string new_path = NewPath(path);
  POLYAK_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                          files.Open(new_path, FileSystem::Mode::kOverwrite));
  const absl::Status written = WriteNew(files, path, *file, head, save);
  file.reset();
  if (!written.ok()) {
    // Gives a full disk its room back. If that fails, the next write overwrites it.
    files.Remove(new_path).IgnoreError();
    return written;
  }
  POLYAK_RETURN_IF_ERROR(OkIfNotFound(files.Rename(path, PreviousPath(path))));
  POLYAK_RETURN_IF_ERROR(files.Rename(new_path, path));
  return files.SyncDirectory(DirectoryOf(path));
}

absl::StatusOr<OpenedCheckpoint> OpenCheckpoint(FileSystem& files, const std::string& path,
                                                const std::string& uid, int64_t iteration_max) {
  Damages damages;
  for (Candidate& candidate : FindCandidates(files, path, uid, iteration_max, damages)) {
    const absl::Status status = VerifyCheckpointPayload(*candidate.file, candidate.header.payload);
    if (!status.ok()) {
      damages.Add(candidate.path, status);
      continue;
    }
    OpenedCheckpoint opened;
    opened.head = std::move(candidate.header.head);
    opened.payload =
        std::make_unique<FileSource>(std::move(candidate.file), candidate.header.payload);
    opened.damages = std::move(damages.texts);
    return opened;
  }
  if (!damages.unreadable.ok()) {
    return absl::UnavailableError(std::string{damages.unreadable.message()});
  }
  return absl::NotFoundError(absl::StrCat("no checkpoint of ", uid, " up to iteration ",
                                          iteration_max, damages.texts.empty() ? "" : "; ",
                                          absl::StrJoin(damages.texts, "; ")));
}

absl::Status RemoveCheckpoints(FileSystem& files, const std::string& path) {
  absl::Status first;
  for (const std::string& name : {path, PreviousPath(path), NewPath(path)}) {
    first.Update(OkIfNotFound(files.Remove(name)));
  }
  return first;
}

}  // namespace polyak::storage
