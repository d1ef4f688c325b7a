// The stores of data sets with an allocation that fails: in files and in memory.

#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/posix_file_system.h"
#include "server/storage/file_dataset_store.h"
#include "server/storage/memory_dataset_store.h"
#include "tests/fault/allocations/sweep.h"

namespace polyak::storage {
namespace {

using testing_support::FailurePlan;
using testing_support::Scenario;
using testing_support::Steps;
using testing_support::SweepAllocations;

constexpr int64_t kExamples = 4000;

v1::StoredDataset Dataset(const std::string& id) {
  v1::StoredDataset dataset;
  dataset.set_name("datasets/" + id);
  dataset.set_sha256(id);
  dataset.set_examples(kExamples);
  dataset.set_input_dimension(2);
  dataset.set_output_dimension(1);
  return dataset;
}

std::vector<double> Values(double first) {
  std::vector<double> values(3 * kExamples);
  std::iota(values.begin(), values.end(), first);
  return values;
}

absl::Status Store(DatasetStore& store, const std::string& id, double first) {
  auto upload = store.Begin();
  if (!upload.ok()) {
    return upload.status();
  }
  const std::vector<double> values = Values(first);
  const std::span<const double> all(values);
  absl::Status status = (*upload)->Append(all.first(5000));
  if (status.ok()) {
    status = (*upload)->Append(all.subspan(5000));
  }
  return status.ok() ? (*upload)->Commit(Dataset(id)) : status;
}

// DataLoss also if the numbers are others.
absl::Status Read(const DatasetStore& store, const std::string& id, double first) {
  const std::vector<double> expected = Values(first);
  std::vector<double> read;
  read.reserve(expected.size());
  const absl::Status status = store.Read(Dataset(id), [&read](std::span<const double> values) {
    read.insert(read.end(), values.begin(), values.end());
  });
  if (!status.ok()) {
    return status;
  }
  return read == expected ? absl::OkStatus() : absl::DataLossError("other numbers");
}

class DatasetScenario : public Scenario {
 public:
  enum Step : size_t { kOpen, kLoad, kStoreKept, kReadKept, kStoreGone, kRemoveGone, kLoadAgain };

  void Run(Steps& steps) override {
    if (!steps.DoAgain(kOpen, [&] { return Open(); })) {
      return;
    }
    steps.Do(kLoad, [&] { return store_->Load().status(); });
    const bool kept = steps.DoAgain(kStoreKept, [&] { return Store(*store_, "kept", 1); });
    if (kept) {
      steps.Do(kReadKept, [&] { return Read(*store_, "kept", 1); });
    }
    steps.Do(kStoreGone, [&] { return Store(*store_, "gone", 2); });
    steps.Do(kRemoveGone, [&] { return store_->Remove("datasets/gone"); });
    steps.Do(kLoadAgain, [&] { return store_->Load().status(); });
  }

  void CheckLive(Steps& steps) override {
    if (store_ == nullptr) {
      return;
    }
    if (const absl::Status status = Check(steps); !status.ok()) {
      steps.Complain(std::string{status.message()});
    }
  }

 protected:
  // files: outlive the store.
  virtual absl::StatusOr<std::unique_ptr<DatasetStore>> MakeStore(base::FileSystem& files) = 0;

  absl::Status Open() {
    auto store = MakeStore(files_);
    if (!store.ok()) {
      return store.status();
    }
    store_ = *std::move(store);
    return absl::OkStatus();
  }

  // With memory: what was acknowledged is there, what was removed is not, and nothing is damaged.
  absl::Status Check(const Steps& steps) {
    const absl::Status kept = Read(*store_, "kept", 1);
    if (!kept.ok() && steps.acknowledged(kStoreKept)) {
      return absl::DataLossError(absl::StrCat("it is lost: ", kept.message()));
    }
    if (steps.acknowledged(kRemoveGone) && Read(*store_, "gone", 2).ok()) {
      return absl::DataLossError("what was removed is there");
    }
    return Store(*store_, "kept", 1);
  }

  base::PosixFileSystem files_;
  std::unique_ptr<DatasetStore> store_;
};

class FileDatasetScenario : public DatasetScenario {
 public:
  void Prepare(const std::string& folder) override { folder_ = folder; }
  void CheckReopened(const std::string& folder, const Steps& steps) override {
    folder_ = folder;
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    const auto loaded = store_->Load();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(damages_, 0);
    EXPECT_TRUE(!steps.acknowledged(kStoreKept) || !loaded->datasets.empty());
    const absl::Status checked = Check(steps);
    EXPECT_TRUE(checked.ok()) << checked;
  }

 private:
  absl::StatusOr<std::unique_ptr<DatasetStore>> MakeStore(base::FileSystem& files) override {
    FileDatasetStore::Options options;
    options.data_directory = folder_;
    options.on_damage = [this](const absl::Status& /*status*/) { ++damages_; };
    return FileDatasetStore::Open(files, options);
  }

  std::string folder_;
  int damages_ = 0;
};

class MemoryDatasetScenario : public DatasetScenario {
  absl::StatusOr<std::unique_ptr<DatasetStore>> MakeStore(base::FileSystem& /*files*/) override {
    return std::make_unique<MemoryDatasetStore>();
  }
};

TEST(AllocationFailures, LoseNoDataSet) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "data sets in files", [] { return std::make_unique<FileDatasetScenario>(); },
      FailurePlan::Whose::kProcess);
}

TEST(AllocationFailures, LoseNoDataSetInMemory) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "data sets in memory", [] { return std::make_unique<MemoryDatasetScenario>(); },
      FailurePlan::Whose::kProcess);
}

}  // namespace
}  // namespace polyak::storage
