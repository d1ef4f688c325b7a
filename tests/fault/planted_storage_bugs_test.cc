// Tests of the tests: the keeping of records and checkpoints with one mistake in it must be found
// out, and by what is wrong with it. The mistakes are made between the product and its disk. Those
// of the server are in crash_points_test.cc.

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/checkpoint.h"
#include "server/storage/file_run_store.h"
#include "server/storage/file_trace.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {
namespace {

using ::testing::HasSubstr;
using testing_support::CrashChoice;
using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;
using Call = FaultyFileSystem::Call;
using Action = FaultyFileSystem::Fault::Action;
using Mode = base::FileSystem::Mode;

constexpr char kTrace[] = "/jobs/u.trace";
constexpr char kCheckpoint[] = "/jobs/u.checkpoint";
constexpr char kUid[] = "u";
constexpr int64_t kSlice = 600;
constexpr int kSlices = 6;

double Value(int64_t row) { return 1.0 / static_cast<double>(row + 1); }

// What the run was sure of, and how much the disk had been asked for by then.
struct Sure {
  size_t position = 0;
  int64_t published = 0;    // rows that readers have seen
  int64_t synced = 0;       // rows that no loss of power takes
  int64_t checkpoint = -1;  // iteration
};

struct Life {
  std::vector<Sure> sure;
  std::string error;  // that ended it

  Sure At(size_t position) const {
    Sure last;
    for (const Sure& one : sure) {
      if (one.position <= position) {
        last = one;
      }
    }
    return last;
  }
};

// A run as the runner keeps it: slices of rows, published; every other one synced, with a
// checkpoint. A Sync that fails ends it.
Life Live(SimulatedDisk& disk, base::FileSystem& files) {
  Life life;
  EXPECT_TRUE(disk.CreateDirectory("/jobs").ok());
  EXPECT_TRUE(disk.SyncDirectory("/").ok());
  auto trace = FileTrace::Create(files, kTrace, kUid, 1, "a job");
  if (!trace.ok()) {
    life.error = std::string{trace.status().message()};
    return life;
  }
  Sure sure;
  sure.position = disk.log_size();
  life.sure.push_back(sure);
  for (int slice = 1; slice <= kSlices; ++slice) {
    (*trace)->Reserve(kSlice);
    for (int64_t row = (slice - 1) * kSlice; row < slice * kSlice; ++row) {
      const double value = Value(row);
      (*trace)->Append({&value, 1});
    }
    absl::Status status = (*trace)->Publish(slice);
    sure.published = slice * kSlice;
    if (status.ok() && slice % 2 == 0) {
      life.sure.push_back({disk.log_size(), sure.published, sure.synced, sure.checkpoint});
      status = (*trace)->Sync();
      if (status.ok()) {
        sure.synced = sure.published;
        life.sure.push_back({disk.log_size(), sure.published, sure.synced, sure.checkpoint});
        CheckpointHead head;
        head.uid = kUid;
        head.iteration = sure.synced - 1;
        status = WriteCheckpoint(files, kCheckpoint, head,
                                 [slice](base::ByteSink& sink) { sink.WriteInt(slice); });
        sure.checkpoint = head.iteration;
      }
    }
    if (!status.ok()) {
      life.error = std::string{status.message()};
      return life;
    }
    sure.position = disk.log_size();
    life.sure.push_back(sure);
  }
  return life;
}

// What is wrong with what a new server finds; empty: nothing.
//   files: `left`, or something with a mistake in between.
std::string Judge(base::FileSystem& files, const Sure& sure, bool killed) {
  const auto checkpoint = OpenCheckpoint(files, kCheckpoint, kUid, INT64_MAX);
  if (sure.checkpoint >= 0 && !checkpoint.ok()) {
    return absl::StrCat("a checkpoint was kept and is lost: ", checkpoint.status().ToString());
  }
  const int64_t iteration = checkpoint.ok() ? checkpoint->head.iteration : -1;
  if (iteration < sure.checkpoint) {
    return absl::StrCat("checkpoint ", sure.checkpoint, " was kept and is lost");
  }
  const auto trace = FileTrace::OpenToWrite(files, kTrace, kUid, 0);
  if (!trace.ok()) {
    return absl::StrCat("the trace does not open: ", trace.status().ToString());
  }
  const int64_t rows = (*trace)->row_count();
  if (iteration + 1 > rows) {
    return absl::StrCat("checkpoint ", iteration, " is ahead of the trace's ", rows, " rows");
  }
  if (killed && rows < sure.published) {
    return absl::StrCat(sure.published, " rows were shown, ", rows, " are there");
  }
  if (rows < sure.synced) {
    return absl::StrCat(sure.synced, " rows were durable, ", rows, " are there");
  }
  const auto read = (*trace)->Read(0, rows, 1);
  if (!read.ok()) {
    return absl::StrCat("rows can't be read: ", read.status().ToString());
  }
  for (int64_t row = 0; row < read->row_count(); ++row) {
    if (read->columns[0][static_cast<size_t>(row)] != Value(row)) {
      return absl::StrCat("row ", row, " is served wrongly");
    }
  }
  return "";
}

// The first thing that is wrong after a kill or a cut at any point.
std::string FirstWrong(const SimulatedDisk& disk, const Life& life) {
  for (size_t prefix = life.sure.front().position; prefix <= disk.log_size(); ++prefix) {
    const Sure sure = life.At(prefix);
    {
      SimulatedDisk left = disk.CrashAt(prefix, {disk.Unsynced(prefix), {}});
      // What a reader has seen just before the next operation has begun.
      if (std::string wrong = Judge(left, sure, true); !wrong.empty()) {
        return wrong;
      }
    }
    for (const CrashChoice& choice : disk.CrashChoices(prefix, {.random_subsets = 8})) {
      SimulatedDisk left = disk.CrashAt(prefix, choice);
      if (std::string wrong = Judge(left, sure, false); !wrong.empty()) {
        return wrong;
      }
    }
  }
  return "";
}

FaultyFileSystem::Rule Swallow(Call call, const std::string& path) {
  FaultyFileSystem::Rule rule;
  rule.call = call;
  rule.path = path;
  rule.times = FaultyFileSystem::kAlways;
  rule.fault.action = Action::kSwallow;
  return rule;
}

std::string WrongWithout(Call call, const std::string& path) {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  files.AddRule(Swallow(call, path));
  const Life life = Live(disk, files);
  EXPECT_EQ(life.error, "");
  return FirstWrong(disk, life);
}

TEST(PlantedBug, NoneOfThemIsThereWithoutPlanting) {
  SimulatedDisk disk;
  const Life life = Live(disk, disk);
  EXPECT_EQ(life.error, "");
  EXPECT_EQ(FirstWrong(disk, life), "");
}

TEST(PlantedBug, RenamedBeforeTheSync) {
  EXPECT_THAT(WrongWithout(Call::kSync, "checkpoint.new"), HasSubstr("was kept and is lost"));
}

TEST(PlantedBug, NoDirectorySyncAfterARename) {
  // The trace's own name is not at stake: it is there before.
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  auto rule = Swallow(Call::kSyncDirectory, "/jobs");
  rule.nth = 2;
  files.AddRule(rule);
  const Life life = Live(disk, files);
  EXPECT_THAT(FirstWrong(disk, life), HasSubstr("was kept and is lost"));
}

TEST(PlantedBug, ACheckpointAheadOfTheSyncedTrace) {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  auto rule = Swallow(Call::kSync, kTrace);
  rule.nth = 2;  // after the one of the header
  files.AddRule(rule);
  Life life = Live(disk, files);
  for (Sure& one : life.sure) {
    one.synced = 0;  // it does not claim more than it has done
  }
  EXPECT_THAT(FirstWrong(disk, life), HasSubstr("is ahead of the trace's"));
}

// A file system whose files are wrapped by a function.
class WrappingFileSystem : public base::FileSystem {
 public:
  using Wrap = std::function<std::unique_ptr<base::File>(std::unique_ptr<base::File>)>;
  WrappingFileSystem(base::FileSystem& below, Wrap wrap) : below_(below), wrap_(std::move(wrap)) {}

  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override {
    auto file = below_.Open(path, mode);
    return file.ok() && path.starts_with(kTrace) ? wrap_(*std::move(file)) : std::move(file);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return below_.Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return below_.Remove(path); }
  absl::Status SyncDirectory(const std::string& path) override {
    return below_.SyncDirectory(path);
  }
  absl::Status CreateDirectory(const std::string& path) override {
    return below_.CreateDirectory(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override {
    return below_.List(path);
  }
  absl::StatusOr<bool> Exists(const std::string& path) const override {
    return below_.Exists(path);
  }
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) const override {
    return below_.FreeBytes(path);
  }

 private:
  base::FileSystem& below_;
  const Wrap wrap_;
};

// Passes everything on.
class WrappedFile : public base::File {
 public:
  explicit WrappedFile(std::unique_ptr<base::File> below) : below_(std::move(below)) {}
  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    return below_->Read(offset, out);
  }
  absl::Status Write(int64_t offset, std::string_view data) override {
    return below_->Write(offset, data);
  }
  absl::Status Sync() override { return below_->Sync(); }
  absl::Status Truncate(int64_t size) override { return below_->Truncate(size); }
  absl::StatusOr<int64_t> Size() const override { return below_->Size(); }

 protected:
  base::File& below() const { return *below_; }

 private:
  const std::unique_ptr<base::File> below_;
};

// Says of a write that it is done, and does it at the next Sync.
class LateFile : public WrappedFile {
 public:
  using WrappedFile::WrappedFile;
  absl::Status Write(int64_t offset, std::string_view data) override {
    late_.emplace_back(offset, std::string{data});
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    for (const auto& [offset, data] : late_) {
      EXPECT_TRUE(below().Write(offset, data).ok());
    }
    late_.clear();
    return below().Sync();
  }

 private:
  std::vector<std::pair<int64_t, std::string>> late_;
};

TEST(PlantedBug, PublishedBeforeTheWrite) {
  SimulatedDisk disk;
  WrappingFileSystem files(disk,
                           [](auto file) { return std::make_unique<LateFile>(std::move(file)); });
  const Life life = Live(disk, files);
  EXPECT_THAT(FirstWrong(disk, life), HasSubstr("rows were shown"));
}

// Tries a Sync that failed once more.
class StubbornFile : public WrappedFile {
 public:
  using WrappedFile::WrappedFile;
  absl::Status Sync() override {
    const absl::Status first = below().Sync();
    return first.ok() ? first : below().Sync();
  }
};

// Fails the first Sync of the trace's rows, as Linux does: what was not durable never will be.
Life LiveWithAFailedSync(SimulatedDisk& disk, FaultyFileSystem& faulty, base::FileSystem& files) {
  int syncs = 0;
  faulty.SetHook([&disk, &syncs](const FaultyFileSystem::Operation& operation)
                     -> std::optional<FaultyFileSystem::Fault> {
    if (operation.call != Call::kSync || !operation.path.starts_with(kTrace) || ++syncs != 2) {
      return std::nullopt;
    }
    disk.FailSync(kTrace, SimulatedDisk::Cached::kKept);
    return FaultyFileSystem::Fault{};
  });
  return Live(disk, files);
}

TEST(PlantedBug, AFailedSyncTriedAgain) {
  SimulatedDisk disk;
  FaultyFileSystem faulty(disk);
  WrappingFileSystem files(
      faulty, [](auto file) { return std::make_unique<StubbornFile>(std::move(file)); });
  const Life life = LiveWithAFailedSync(disk, faulty, files);
  EXPECT_EQ(life.error, "");  // it believes that all is well
  EXPECT_THAT(FirstWrong(disk, life), HasSubstr("rows were durable"));
  // Without the mistake the run hears of it, and what it was sure of is there.
  SimulatedDisk sound;
  FaultyFileSystem sound_faulty(sound);
  const Life stopped = LiveWithAFailedSync(sound, sound_faulty, sound_faulty);
  EXPECT_NE(stopped.error, "");
  EXPECT_EQ(FirstWrong(sound, stopped), "");
}

// A trace of several durable blocks with one byte of the second one turned.
void Damage(SimulatedDisk& disk) {
  EXPECT_EQ(Live(disk, disk).error, "");
  const BlockLayout layout{1};
  auto file = disk.Open(kTrace, Mode::kUpdate);
  const int64_t place = 4096 + layout.block_bytes() + layout.column_offset(0) + 100;
  char byte = 0;
  ASSERT_TRUE((*file)->Read(place, {&byte, 1}).ok());
  byte = static_cast<char>(byte ^ 1);
  ASSERT_TRUE((*file)->Write(place, {&byte, 1}).ok());
  ASSERT_TRUE((*file)->Sync().ok());
}

const Sure kAllDurable = {0, kSlice* kSlices, kSlice* kSlices, -1};

// Sees nothing behind the first block: takes damage for the torn tail of a crash.
class ShortSightedFile : public WrappedFile {
 public:
  using WrappedFile::WrappedFile;
  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    std::fill(out.begin(), out.end(), '\0');
    const int64_t end = 4096 + BlockLayout{1}.block_bytes();
    return offset >= end ? static_cast<int64_t>(out.size()) : below().Read(offset, out);
  }
};

TEST(PlantedBug, CutAtDamage) {
  SimulatedDisk disk;
  Damage(disk);
  {
    WrappingFileSystem files(
        disk, [](auto file) { return std::make_unique<ShortSightedFile>(std::move(file)); });
    EXPECT_THAT(Judge(files, kAllDurable, false), HasSubstr("is ahead of the trace's"));
    ASSERT_TRUE(disk.Remove(kCheckpoint).ok());
    ASSERT_TRUE(disk.Remove(absl::StrCat(kCheckpoint, ".previous")).ok());
    EXPECT_THAT(Judge(files, kAllDurable, false), HasSubstr("rows were durable, 1024 are there"));
  }
  // Without the mistake nothing is cut, and what is damaged is refused when it is read.
  SimulatedDisk sound;
  Damage(sound);
  EXPECT_THAT(Judge(sound, kAllDurable, false), HasSubstr("rows can't be read"));
  EXPECT_THAT(Judge(sound, kAllDurable, false), HasSubstr("block 1"));
}

// Believes every column: shows heads with the checksums of what is there.
class TrustingFile : public WrappedFile {
 public:
  using WrappedFile::WrappedFile;
  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    const auto read = below().Read(offset, out);
    const BlockLayout layout{1};
    const int64_t from_block = (offset - 4096) % layout.block_bytes();
    const int64_t block = (offset - 4096) / layout.block_bytes();
    if (!read.ok() || offset < 4096 || from_block != 0) {
      return read;
    }
    const auto slot_bytes = static_cast<size_t>(layout.slot_bytes());
    for (size_t at = 0; at + slot_bytes <= out.size() && at < kHeadSlots * slot_bytes;
         at += slot_bytes) {
      const std::span<char> slot = out.subspan(at, slot_bytes);
      auto head = DecodeHead({slot.data(), slot.size()}, layout, HashUid(kUid), block);
      if (!head.has_value()) {
        continue;
      }
      std::vector<double> values(static_cast<size_t>(head->count));
      EXPECT_TRUE(below()
                      .Read(offset + layout.column_offset(0),
                            {reinterpret_cast<char*>(values.data()), 8 * values.size()})
                      .ok());
      head->columns[0].crc = ColumnCrc(values);
      EncodeHead(*head, slot);
    }
    return read;
  }
};

TEST(PlantedBug, ABlockServedDespiteABadChecksum) {
  SimulatedDisk disk;
  Damage(disk);
  WrappingFileSystem files(
      disk, [](auto file) { return std::make_unique<TrustingFile>(std::move(file)); });
  const auto trace = FileTrace::OpenToRead(files, kTrace, kUid, kSlice * kSlices);
  ASSERT_TRUE(trace.ok()) << trace.status();
  const auto read = (*trace)->Read(0, kSlice * kSlices, 1);
  ASSERT_TRUE(read.ok()) << read.status();  // the mistake
  int64_t wrong = 0;
  for (int64_t row = 0; row < read->row_count(); ++row) {
    wrong += read->columns[0][static_cast<size_t>(row)] != Value(row) ? 1 : 0;
  }
  EXPECT_EQ(wrong, 1);  // so the comparison with what was written sees it
  // Without the mistake the very same read is refused.
  const auto sound = FileTrace::OpenToRead(disk, kTrace, kUid, kSlice * kSlices);
  EXPECT_TRUE(absl::IsDataLoss((*sound)->Read(0, kSlice * kSlices, 1).status()));
}

absl::StatusOr<std::unique_ptr<FileRunStore>> OpenStore(base::FileSystem& files) {
  FileRunStore::Options options;
  options.columns = 1;
  return FileRunStore::Open(files, "/data", options);
}

absl::Status AppendRows(Trace& trace, int64_t first, double factor) {
  trace.Reserve(kSlice);
  for (int64_t row = first; row < first + kSlice; ++row) {
    const double value = factor * Value(row);
    trace.Append({&value, 1});
  }
  return trace.Publish(1);
}

// A run is given up for dead and begun anew by `second`; then the first attempt, which `first` has
// opened, comes back with rows of its own. What the rows are afterwards: empty if the right ones.
std::string RowsAfterAStaleAttempt(SimulatedDisk& disk, FileRunStore& first, FileRunStore& second) {
  v1::TrainingJob job;
  job.set_uid(kUid);
  const auto stale = first.OpenTrace(job).value();
  EXPECT_TRUE(AppendRows(*stale, 0, 1).ok());
  const auto newest = second.OpenTrace(job).value();
  EXPECT_TRUE(newest->Rewind(kSlice).ok());
  EXPECT_TRUE(AppendRows(*newest, kSlice, 1).ok());
  const absl::Status written = AppendRows(*stale, kSlice, -1);
  const absl::Status synced = stale->Sync();
  const absl::Status kept = stale->WhileNewest([&] {
    return first.WriteCheckpoint(kUid, 5 * kSlice, 0,
                                 [](base::ByteSink& sink) { sink.WriteInt(1); });
  });
  EXPECT_EQ(absl::IsAborted(written), &first == &second) << written;
  EXPECT_EQ(absl::IsAborted(synced), &first == &second) << synced;
  EXPECT_EQ(absl::IsAborted(kept), &first == &second) << kept;
  EXPECT_TRUE(AppendRows(*newest, 2 * kSlice, 1).ok());
  EXPECT_TRUE(newest->Sync().ok());

  const auto later = OpenStore(disk).value();
  if (const auto checkpoint = later->OpenCheckpoint(kUid, INT64_MAX); checkpoint.ok()) {
    return absl::StrCat("checkpoint ", checkpoint->iteration, " of a stale attempt is kept");
  }
  const auto trace = later->OpenTrace(job);
  if (!trace.ok()) {
    return absl::StrCat("the trace does not open: ", trace.status().ToString());
  }
  const auto read = (*trace)->Read(0, 3 * kSlice, 1);
  if (!read.ok() || read->row_count() != 3 * kSlice) {
    return "rows can't be read";
  }
  for (int64_t row = 0; row < read->row_count(); ++row) {
    if (read->columns[0][static_cast<size_t>(row)] != Value(row)) {
      return absl::StrCat("row ", row, " is one of a stale attempt");
    }
  }
  return "";
}

TEST(PlantedBug, AStaleAttemptAccepted) {
  {  // stores that do not know of each other's attempts
    SimulatedDisk disk;
    ASSERT_TRUE(disk.CreateDirectory("/data").ok());
    const auto first = OpenStore(disk).value();
    const auto second = OpenStore(disk).value();
    EXPECT_THAT(RowsAfterAStaleAttempt(disk, *first, *second), HasSubstr("of a stale attempt"));
  }
  SimulatedDisk disk;
  ASSERT_TRUE(disk.CreateDirectory("/data").ok());
  const auto store = OpenStore(disk).value();
  EXPECT_EQ(RowsAfterAStaleAttempt(disk, *store, *store), "");
}

}  // namespace
}  // namespace polyak::storage
