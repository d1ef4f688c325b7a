// The file of a trace as a failing disk may leave it: opened by a reader and by a run that goes on.
// The first byte says whether the checksums of header and heads are made right before.

#include <algorithm>
#include <memory>
#include <string>

#include "server/base/check.h"
#include "server/storage/file_trace.h"
#include "tests/fuzz/seal.h"
#include "tests/fuzz/target.h"
#include "tests/support/simulated_disk.h"

namespace polyak {
namespace {

constexpr char kPath[] = "/u.trace";
constexpr char kUid[] = "u";
constexpr int kColumns = 1;
constexpr size_t kFirstBlock = 4096;

// A run of so many rows, a few of them behind the last sync.
std::string FileOf(int64_t rows) {
  testing_support::SimulatedDisk disk;
  auto trace = storage::FileTrace::Create(disk, kPath, kUid, kColumns, "what it is");
  POLYAK_CHECK(trace.ok());
  POLYAK_CHECK((*trace)->Rewind(0).ok());
  for (int64_t row = 0; row < rows; ++row) {
    (*trace)->Reserve(1);
    const double value = 1.0 / static_cast<double>(row + 1);
    (*trace)->Append({&value, 1});
    if (row % 100 == 99 || row == rows - 1) {
      POLYAK_CHECK((*trace)->Publish(static_cast<double>(row)).ok());
    }
    if (row == rows / 2) {
      POLYAK_CHECK((*trace)->Sync().ok());
    }
  }
  const auto file = disk.Open(kPath, base::FileSystem::Mode::kRead);
  std::string bytes(static_cast<size_t>((*file)->Size().value()), '\0');
  POLYAK_CHECK((*file)->Read(0, bytes).ok());
  return bytes;
}

void SealAll(std::string& bytes) {
  fuzz::Seal(bytes, 0, storage::kTraceHeaderBytes);
  const storage::BlockLayout layout{kColumns};
  const auto slot = static_cast<size_t>(layout.slot_bytes());
  for (size_t block = kFirstBlock; block < bytes.size();
       block += static_cast<size_t>(layout.block_bytes())) {
    for (size_t k = 0; k < storage::kHeadSlots; ++k) {
      fuzz::Seal(bytes, block + k * slot, block + (k + 1) * slot);
    }
  }
}

void ReadAll(const storage::FileTrace& trace) {
  const int64_t rows = trace.row_count();
  POLYAK_CHECK(rows >= 0);
  // As much as a page of a reader: a head may speak of any number of rows.
  const int64_t page = std::min<int64_t>(rows, 5000);
  if (const auto read = trace.Read(0, page, 1); read.ok()) {
    POLYAK_CHECK(read->row_count() <= page);
  }
  static_cast<void>(trace.Read(rows / 2, 3, 7));
  const int64_t edges[] = {0, rows / 3, rows};
  static_cast<void>(trace.Summarize(0, edges));
  static_cast<void>(trace.ElapsedAt(std::max<int64_t>(0, rows - 1)));
  static_cast<void>(trace.ReadDescription());
}

// Goes on from the beginning: stored rows are compared, damaged ones mended.
void WriteAll(storage::FileTrace& trace) {
  ReadAll(trace);
  if (!trace.Rewind(0).ok()) {
    return;
  }
  trace.Reserve(50);
  for (int row = 0; row < 50; ++row) {
    const double value = 1.0 / (row + 1);
    trace.Append({&value, 1});
  }
  static_cast<void>(trace.Publish(1));
  static_cast<void>(trace.Sync());
  ReadAll(trace);
}

}  // namespace

namespace fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const int64_t rows : {0, 1, 40, 1024, 1300}) {
    for (const char seal : {'\0', '\1'}) {
      seeds.push_back(seal + FileOf(rows));
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
  if (data[0] % 2 == 1) {
    polyak::SealAll(bytes);
  }
  polyak::testing_support::SimulatedDisk disk;
  {
    const auto file = disk.Open(polyak::kPath, polyak::base::FileSystem::Mode::kCreate);
    POLYAK_CHECK((*file)->Write(0, bytes).ok());
  }
  for (const int64_t rows : {1, 40, 1300}) {
    if (auto trace =
            polyak::storage::FileTrace::OpenToRead(disk, polyak::kPath, polyak::kUid, rows);
        trace.ok()) {
      polyak::ReadAll(**trace);
    }
  }
  const int64_t rows_known_durable = data[0] / 2;
  if (auto trace = polyak::storage::FileTrace::OpenToWrite(disk, polyak::kPath, polyak::kUid,
                                                           rows_known_durable);
      trace.ok()) {
    polyak::WriteAll(**trace);
  }
  return 0;
}
