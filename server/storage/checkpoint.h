#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/bytes.h"
#include "server/base/file_system.h"

namespace polyak::storage {

// The state of a job's run at one iteration, in a file of its own: docs/formats/checkpoint.md. The
// current one is at `path`, the one before it at `path`.previous, one that is being written at
// `path`.new; at every moment of a crash one of the three is whole.

// What a checkpoint says of itself. Texts are of up to 255 bytes.
struct CheckpointHead {
  std::string uid;             // of the job
  int64_t iteration = 0;       // of the last record in the state, >= 0
  double elapsed_seconds = 0;  // training time at that record
  // Who wrote it: only the same build on the same class of processor, with the same floating-point
  // control word, promises to go on with the same bits. Not judged here.
  std::string build;
  std::string processor;
  int64_t float_control = 0;
};

// Writes a checkpoint; when this returns OK, it and the one before it are durable.
//   path: in a directory that exists.   save: writes the state, once, however large: it goes to the
//   file as it comes.
// Errors, with the older checkpoints as good as before: ResourceExhausted if the disk is full;
// those of the file system. After an error of a Sync nothing is tried again on that file. Cost: one
// write of the state, and its CRC; one Sync, two of the directory.
absl::Status WriteCheckpoint(base::FileSystem& files, const std::string& path,
                             const CheckpointHead& head,
                             const std::function<void(base::ByteSink&)>& save);

struct OpenedCheckpoint {
  CheckpointHead head;
  // The state's bytes. Their CRC was right when the file was opened; if the disk now gives others,
  // the read of the last one fails with DataLoss.
  std::unique_ptr<base::ByteSource> payload;
  // A sentence for each file that was passed over because it is damaged, of another job, of another
  // version, or can't be read.
  std::vector<std::string> damages;
  // The same as an error: OK if there is none, Unavailable if one could not be read, else DataLoss.
  absl::Status passed_over;
};

// The newest whole checkpoint of job `uid` at or below `iteration_max`.
// Errors: NotFound if there is none; DataLoss if there is none that is whole, with what is wrong
// with those that are there; Unavailable if there is none, and a file could not be read.
// Cost: one read of the state.
absl::StatusOr<OpenedCheckpoint> OpenCheckpoint(base::FileSystem& files, const std::string& path,
                                                const std::string& uid, int64_t iteration_max);

// What the newest checkpoint of job `uid` says of itself, whatever became of the state behind its
// header.
// Errors: NotFound if no header is whole; Unavailable if that is so, and a file could not be read.
// Cost: three reads of up to 4 kB.
absl::StatusOr<CheckpointHead> ReadCheckpointHead(base::FileSystem& files, const std::string& path,
                                                  const std::string& uid);

// Removes all three files, where they are there. Durable after the directory's next SyncDirectory.
// Errors: the first of the file system; the others are still removed.
absl::Status RemoveCheckpoints(base::FileSystem& files, const std::string& path);

}  // namespace polyak::storage
