// A checkpoint as a failing disk may leave it: found, read, and loaded into a run of the problem
// and method that the first byte chooses. Its highest bit says whether checksums are made right
// before.

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>

#include "google/protobuf/text_format.h"
#include "server/base/check.h"
#include "server/base/row_sink.h"
#include "server/engine/trainer/trainer.h"
#include "server/runner/prepare.h"
#include "server/spec/parse_training_job.h"
#include "server/storage/checkpoint.h"
#include "server/storage/checkpoint_file.h"
#include "server/storage/memory_trace.h"
#include "tests/fuzz/seal.h"
#include "tests/fuzz/target.h"
#include "tests/support/simulated_disk.h"

namespace polyak {
namespace {

constexpr char kPath[] = "/u.checkpoint";
constexpr char kUid[] = "u";

std::shared_ptr<const runner::PreparedJob> Prepared(const std::string& problem,
                                                    const std::string& method) {
  v1::TrainingJobSpec message;
  POLYAK_CHECK(google::protobuf::TextFormat::ParseFromString(
      problem + " optimizer { " + method + " {} } stopping { max_iterations: 40 }", &message));
  spec::Violations violations;
  const auto spec = spec::ParseTrainingJobSpec(message, {}, violations);
  return runner::Prepare(*spec, violations);
}

// Problems and methods, all prepared once.
const std::vector<std::shared_ptr<const runner::PreparedJob>>& Jobs() {
  static const auto& jobs = *[] {
    auto* const all = new std::vector<std::shared_ptr<const runner::PreparedJob>>;
    for (const char* problem :
         {"quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } }",
          "relu_network { width: 4 dataset { synthetic { examples: 2 input_dimension: 2 } } }",
          "deep_linear_network { width: 2 depth: 2 dataset { synthetic { examples: 2 "
          "input_dimension: 2 output_dimension: 1 } } }"}) {
      for (const char* method : {"gradient_descent", "polyak_momentum", "nesterov_momentum"}) {
        all->push_back(Prepared(problem, method));
      }
    }
    return all;
  }();
  return jobs;
}

// A trainer, its trace and its token.
struct Run {
  explicit Run(const runner::PreparedJob& job)
      : trainer(job.experiment, job.theory, job.spec.stopping,
                job.plan.entry->make(job.experiment, {}).value(), trace, stop) {}
  storage::MemoryTrace trace{engine::kTraceColumns};
  base::StopToken stop;
  engine::Trainer trainer;
};

std::string CheckpointOf(const runner::PreparedJob& job, int64_t records) {
  Run run(job);
  run.trace.Reserve(records + 1);
  const engine::Progress progress = run.trainer.Advance(records);
  testing_support::SimulatedDisk disk;
  storage::CheckpointHead head;
  head.uid = kUid;
  head.iteration = std::max<int64_t>(0, progress.iteration);
  POLYAK_CHECK(storage::WriteCheckpoint(disk, kPath, head, [&run](base::ByteSink& sink) {
                 run.trainer.Save(sink);
               }).ok());
  const auto file = disk.Open(kPath, base::FileSystem::Mode::kRead);
  std::string bytes(static_cast<size_t>((*file)->Size().value()), '\0');
  POLYAK_CHECK((*file)->Read(0, bytes).ok());
  return bytes;
}

// The payload's checksum, then the header's.
void SealAll(std::string& bytes) {
  constexpr size_t kHeaderSizeAt = 16;
  constexpr size_t kPayloadCrcAt = 32;
  int64_t header = 0;
  if (bytes.size() < kPayloadCrcAt + sizeof(header)) {
    return;
  }
  std::memcpy(&header, bytes.data() + kHeaderSizeAt, sizeof(header));
  if (header < 0 || header > static_cast<int64_t>(bytes.size())) {
    return;
  }
  const int64_t crc =
      base::MaskCrc(base::Crc32c(std::string_view{bytes}.substr(static_cast<size_t>(header))));
  std::memcpy(bytes.data() + kPayloadCrcAt, &crc, sizeof(crc));
  fuzz::Seal(bytes, 0, static_cast<size_t>(header));
}

}  // namespace

namespace fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (size_t job = 0; job < Jobs().size(); ++job) {
    for (const int64_t records : {0, 1, 30, 41}) {
      seeds.push_back(static_cast<char>(0x80 | job) + CheckpointOf(*Jobs()[job], records));
    }
  }
  return seeds;
}

}  // namespace fuzz
}  // namespace polyak

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 0x80) != 0) {
    polyak::SealAll(bytes);
  }
  polyak::testing_support::SimulatedDisk disk;
  {
    const auto file = disk.Open(polyak::kPath, polyak::base::FileSystem::Mode::kCreate);
    POLYAK_CHECK((*file)->Write(0, bytes).ok());
  }
  const auto open = [&disk] {
    return polyak::storage::OpenCheckpoint(disk, polyak::kPath, polyak::kUid,
                                           std::numeric_limits<int64_t>::max());
  };
  if (auto checkpoint = open(); checkpoint.ok()) {
    if (const auto saved = polyak::engine::SeekSavedIterate(*checkpoint->payload); saved.ok()) {
      for (int64_t k = 0; k < saved->dimension && checkpoint->payload->status().ok(); ++k) {
        checkpoint->payload->ReadDouble();
      }
    }
  }
  if (auto checkpoint = open(); checkpoint.ok()) {
    const auto& jobs = polyak::Jobs();
    polyak::Run run(*jobs[(data[0] & 0x7f) % jobs.size()]);
    if (run.trainer.Load(*checkpoint->payload).ok()) {
      run.trace.Reserve(5);
      run.trainer.Advance(5);
      static_cast<void>(run.trainer.summary());
    }
  }
  return 0;
}
