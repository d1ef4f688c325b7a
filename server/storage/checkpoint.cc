#include "server/storage/checkpoint.h"

#include <algorithm>
#include <array>
#include <limits>
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

absl::Status Verify(FileSystem& files, const std::string& path) {
  POLYAK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                          files.Open(path, FileSystem::Mode::kRead));
  POLYAK_ASSIGN_OR_RETURN(const CheckpointHeader header, ReadCheckpointHeader(*file));
  return VerifyCheckpointPayload(*file, header.payload);
}

// Does the second rename of a checkpoint that was cut off between the two: its file may be the only
// whole one, and must not be overwritten by the next. A torn one was cut off before the renames: it
// is no checkpoint, and is left to be overwritten.
absl::Status FinishInterrupted(FileSystem& files, const std::string& path) {
  POLYAK_ASSIGN_OR_RETURN(const bool has_current, files.Exists(path));
  if (has_current) {
    return absl::OkStatus();
  }
  if (absl::IsDataLoss(Verify(files, NewPath(path)))) {
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
class Damages {
 public:
  // `interrupted`: that of `path` may be what an interrupted write left, which is no damage.
  void Add(const std::string& path, const absl::Status& status, bool interrupted) {
    texts_.push_back(absl::StrCat(path, ": ", std::string{status.message()}));
    if (interrupted && absl::IsDataLoss(status)) {
      return;
    }
    counted_.push_back(texts_.back());
    if (!absl::IsDataLoss(status)) {
      unreadable_ = true;
    }
  }
  bool unreadable() const { return unreadable_; }
  absl::Status AsStatus() const {
    const std::string text = absl::StrJoin(counted_, "; ");
    return counted_.empty() ? absl::OkStatus()
           : unreadable_    ? absl::UnavailableError(text)
                            : absl::DataLossError(text);
  }
  std::vector<std::string> TakeTexts() && { return std::move(texts_); }

 private:
  std::vector<std::string> texts_;
  std::vector<std::string> counted_;
  bool unreadable_ = false;
};

// Whether the new file of a checkpoint may be half written: unless it is the current one already,
// since the renames were cut off between the two.
bool MayBeHalfWritten(FileSystem& files, const std::string& path, const std::string& name) {
  return name == NewPath(path) &&
         (files.Exists(path).value_or(true) || !files.Exists(PreviousPath(path)).value_or(false));
}

// Newest first; of equals the current one first.
std::vector<Candidate> FindCandidates(FileSystem& files, const std::string& path,
                                      const std::string& uid, int64_t iteration_max,
                                      Damages& damages) {
  std::vector<Candidate> candidates;
  for (const std::string& name : {path, PreviousPath(path), NewPath(path)}) {
    absl::StatusOr<Candidate> candidate = OpenCandidate(files, name, uid);
    if (!candidate.ok()) {
      if (!absl::IsNotFound(candidate.status())) {
        damages.Add(name, candidate.status(), MayBeHalfWritten(files, path, name));
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
      damages.Add(candidate.path, status, MayBeHalfWritten(files, path, candidate.path));
      continue;
    }
    OpenedCheckpoint opened;
    opened.head = std::move(candidate.header.head);
    opened.payload =
        std::make_unique<FileSource>(std::move(candidate.file), candidate.header.payload);
    opened.passed_over = damages.AsStatus();
    opened.damages = std::move(damages).TakeTexts();
    return opened;
  }
  POLYAK_RETURN_IF_ERROR(damages.AsStatus());
  return absl::NotFoundError(
      absl::StrCat("no checkpoint of ", uid, " up to iteration ", iteration_max));
}

absl::StatusOr<CheckpointHead> ReadCheckpointHead(FileSystem& files, const std::string& path,
                                                  const std::string& uid) {
  Damages damages;
  std::vector<Candidate> candidates =
      FindCandidates(files, path, uid, std::numeric_limits<int64_t>::max(), damages);
  if (!candidates.empty()) {
    return std::move(candidates.front().header.head);
  }
  if (damages.unreadable()) {
    return damages.AsStatus();
  }
  return absl::NotFoundError(absl::StrCat("no header of a checkpoint of ", uid, " is whole"));
}

absl::Status RemoveCheckpoints(FileSystem& files, const std::string& path) {
  absl::Status first;
  for (const std::string& name : {path, PreviousPath(path), NewPath(path)}) {
    first.Update(OkIfNotFound(files.Remove(name)));
  }
  return first;
}

}  // namespace polyak::storage
