#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/check.h"
#include "server/storage/checkpoint.h"
#include "tests/support/crash_choices.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {

inline const char kPath[] = "/jobs/u1.checkpoint";
inline constexpr int64_t kAnyIteration = int64_t{1} << 40;

inline testing_support::SimulatedDisk DiskWithJobs() {
  testing_support::SimulatedDisk disk;
  POLYAK_CHECK(disk.CreateDirectory("/jobs").ok());
  POLYAK_CHECK(disk.SyncDirectory("/").ok());
  return disk;
}

inline CheckpointHead HeadAt(int64_t iteration) {
  return {"u1", iteration, 0.25 * static_cast<double>(iteration), "a build", "a processor", 0x1f80};
}

// The state at an iteration: nothing that another iteration has a part of.
inline std::string PayloadAt(int64_t iteration, size_t size = 700) {
  return testing_support::Junk(size, static_cast<uint64_t>(iteration));
}

inline absl::Status WriteAt(base::FileSystem& files, int64_t iteration, size_t size = 700) {
  return WriteCheckpoint(files, kPath, HeadAt(iteration),
                         [&](base::ByteSink& sink) { sink.Write(PayloadAt(iteration, size)); });
}

// The iteration of the checkpoint that opens, once all of it was found to be what was written
// there; Internal if it is not, which must never be.
inline absl::StatusOr<int64_t> OpenAndCompare(base::FileSystem& files,
                                              int64_t iteration_max = kAnyIteration,
                                              size_t size = 700) {
  auto opened = OpenCheckpoint(files, kPath, "u1", iteration_max);
  if (!opened.ok()) {
    return opened.status();
  }
  const CheckpointHead& head = opened->head;
  const CheckpointHead expected = HeadAt(head.iteration);
  std::string payload(size, '\0');
  opened->payload->Read(payload);
  if (!opened->payload->status().ok() || !opened->payload->at_end() ||
      payload != PayloadAt(head.iteration, size) || head.uid != expected.uid ||
      head.elapsed_seconds != expected.elapsed_seconds || head.build != expected.build ||
      head.processor != expected.processor || head.float_control != expected.float_control) {
    return absl::InternalError("a damaged checkpoint was served");
  }
  return head.iteration;
}

inline std::string Contents(base::FileSystem& files, const std::string& path) {
  auto file = files.Open(path, base::FileSystem::Mode::kRead);
  POLYAK_CHECK(file.ok());
  std::string bytes(static_cast<size_t>(*(*file)->Size()), '\0');
  POLYAK_CHECK((*file)->Read(0, bytes).ok());
  return bytes;
}

inline void Replace(base::FileSystem& files, const std::string& path, const std::string& bytes) {
  auto file = files.Open(path, base::FileSystem::Mode::kOverwrite);
  POLYAK_CHECK(file.ok());
  POLYAK_CHECK((*file)->Write(0, bytes).ok());
  POLYAK_CHECK((*file)->Sync().ok());
}

}  // namespace polyak::storage
