#include "server/storage/file_dataset_store.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/dataset_header.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;

constexpr char kPath[] = "/data/datasets/abc.dataset";

v1::StoredDataset Dataset(int64_t examples) {
  v1::StoredDataset dataset;
  dataset.set_name("datasets/abc");
  dataset.set_sha256("abc");
  dataset.set_examples(examples);
  dataset.set_input_dimension(2);
  dataset.set_output_dimension(1);
  return dataset;
}

std::vector<double> Values(int64_t examples) {
  std::vector<double> values(static_cast<size_t>(3 * examples));
  std::iota(values.begin(), values.end(), -1.5);
  return values;
}

class FileDatasetStoreTest : public ::testing::Test {
 protected:
  FileDatasetStoreTest() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    EXPECT_TRUE(disk_.SyncDirectory("/").ok());
  }

  std::unique_ptr<FileDatasetStore> Open(base::FileSystem& files) {
    FileDatasetStore::Options options;
    options.data_directory = "/data";
    options.on_damage = [this](const absl::Status& status) { damages_.push_back(status); };
    auto store = FileDatasetStore::Open(files, options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  // Sends in two parts, as a client does.
  static absl::Status Store(FileDatasetStore& store, int64_t examples) {
    auto upload = store.Begin();
    if (!upload.ok()) {
      return upload.status();
    }
    const std::vector<double> values = Values(examples);
    const std::span<const double> all(values);
    absl::Status status = (*upload)->Append(all.first(1));
    status.Update((*upload)->Append(all.subspan(1)));
    return status.ok() ? (*upload)->Commit(Dataset(examples)) : status;
  }
  static absl::StatusOr<std::vector<double>> Read(const FileDatasetStore& store, int64_t examples) {
    std::vector<double> read;
    const absl::Status status =
        store.Read(Dataset(examples), [&read](std::span<const double> values) {
          read.insert(read.end(), values.begin(), values.end());
        });
    if (!status.ok()) {
      return status;
    }
    return read;
  }

  SimulatedDisk disk_;
  std::vector<absl::Status> damages_;
};

TEST_F(FileDatasetStoreTest, GivesBackWhatWasStoredAlsoToTheNextProcess) {
  constexpr int64_t kExamples = 10'000;  // several blocks
  {
    const auto store = Open(disk_);
    EXPECT_THAT(store->Load()->datasets, IsEmpty());
    ASSERT_TRUE(Store(*store, kExamples).ok());
  }
  const auto store = Open(disk_);
  const auto loaded = store->Load();
  ASSERT_THAT(loaded->datasets, SizeIs(1));
  EXPECT_THAT(loaded->unusable, IsEmpty());
  EXPECT_EQ(loaded->datasets.front().SerializeAsString(), Dataset(kExamples).SerializeAsString());
  EXPECT_EQ(*Read(*store, kExamples), Values(kExamples));
  ASSERT_TRUE(store->Remove("datasets/abc").ok());
  EXPECT_TRUE(absl::IsDataLoss(Read(*store, kExamples).status()));
  EXPECT_THAT(Open(disk_)->Load()->datasets, IsEmpty());
}

TEST_F(FileDatasetStoreTest, AnUploadThatIsDroppedOrInterruptedLeavesNothing) {
  const auto store = Open(disk_);
  { ASSERT_TRUE((*store->Begin())->Append(Values(1)).ok()); }
  EXPECT_THAT(*disk_.List("/data/datasets"), IsEmpty());
  const auto interrupted = store->Begin();
  ASSERT_TRUE((*interrupted)->Append(Values(1)).ok());
  EXPECT_THAT(*disk_.List("/data/datasets"), SizeIs(1));
  EXPECT_THAT(Open(disk_)->Load()->datasets, IsEmpty());
  EXPECT_THAT(*disk_.List("/data/datasets"), IsEmpty());
}

TEST_F(FileDatasetStoreTest, EveryDamagedByteIsSeen) {
  const auto store = Open(disk_);
  ASSERT_TRUE(Store(*store, 4).ok());
  const auto file = disk_.Open(kPath, base::FileSystem::Mode::kUpdate);
  ASSERT_TRUE(file.ok());
  const int64_t size = *(*file)->Size();
  ASSERT_EQ(size, kDatasetHeaderBytes + 8 * 12);
  for (int64_t place = 0; place < size; ++place) {
    char byte = 0;
    ASSERT_TRUE((*file)->Read(place, {&byte, 1}).ok());
    const char flipped = static_cast<char>(byte ^ 1);
    ASSERT_TRUE((*file)->Write(place, {&flipped, 1}).ok());
    const absl::Status damaged = Read(*store, 4).status();
    EXPECT_TRUE(absl::IsDataLoss(damaged)) << place;
    EXPECT_THAT(std::string{damaged.message()}, StartsWith("datasets/abc is damaged: ")) << place;
    ASSERT_TRUE((*file)->Write(place, {&byte, 1}).ok());
  }
  EXPECT_EQ(*Read(*store, 4), Values(4));
  ASSERT_TRUE((*file)->Truncate(size - 1).ok());
  EXPECT_TRUE(absl::IsDataLoss(Read(*store, 4).status()));
  const auto loaded = store->Load();
  EXPECT_THAT(loaded->datasets, IsEmpty());
  EXPECT_THAT(damages_, SizeIs(1));
  ASSERT_THAT(loaded->unusable, SizeIs(1));
  EXPECT_EQ(loaded->unusable[0].first, "datasets/abc");
  EXPECT_TRUE(absl::IsDataLoss(loaded->unusable[0].second));
  EXPECT_THAT(std::string{loaded->unusable[0].second.message()},
              StartsWith("datasets/abc is damaged: it has"));
  ASSERT_TRUE(store->Remove("datasets/abc").ok());
  EXPECT_FALSE(*disk_.Exists(kPath));
}

// What was acknowledged is there after a loss of power at any moment, and what is there is whole.
TEST_F(FileDatasetStoreTest, ALossOfPowerLosesNothingThatWasAcknowledged) {
  const auto store = Open(disk_);
  const size_t begun = disk_.log_size();
  ASSERT_TRUE(Store(*store, 300).ok());
  const size_t acknowledged = disk_.log_size();
  int64_t states = 0;
  for (size_t prefix = begun; prefix <= acknowledged; ++prefix) {
    for (const auto& choice : disk_.CrashChoices(prefix)) {
      SimulatedDisk left = disk_.CrashAt(prefix, choice);
      const auto next = Open(left);
      const auto loaded = next->Load();
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      ++states;
      if (prefix == acknowledged) {
        ASSERT_THAT(loaded->datasets, SizeIs(1));
      }
      if (!loaded->datasets.empty()) {
        const auto read = Read(*next, 300);
        ASSERT_TRUE(read.ok()) << read.status();
        EXPECT_EQ(*read, Values(300));
      }
    }
  }
  EXPECT_GT(states, 20);
}

// With each call of the disk failing in turn: an error is answered, or the data set is there.
TEST_F(FileDatasetStoreTest, NoFailingCallIsTakenForSuccess) {
  using Call = FaultyFileSystem::Call;
  int failures = 0;
  for (const Call call :
       {Call::kOpen, Call::kWrite, Call::kSync, Call::kRename, Call::kSyncDirectory}) {
    for (int64_t nth = 1; nth < 5; ++nth) {
      SimulatedDisk disk;
      ASSERT_TRUE(disk.CreateDirectory("/data").ok());
      FaultyFileSystem faulty(disk);
      const auto store = Open(faulty);
      const size_t rule = faulty.AddRule({.call = call, .nth = nth});
      const absl::Status stored = Store(*store, 4);
      EXPECT_EQ(stored.ok(), faulty.fired(rule) == 0) << stored;
      failures += stored.ok() ? 0 : 1;
      faulty.ClearRules();
      if (!stored.ok()) {
        EXPECT_THAT(store->Load()->datasets, IsEmpty());
      } else {
        EXPECT_EQ(*Read(*store, 4), Values(4));
      }
    }
  }
  EXPECT_GE(failures, 7);  // one open, three writes, one sync, one rename, one sync of the folder
}

}  // namespace
}  // namespace polyak::storage
