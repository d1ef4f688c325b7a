#include "server/storage/memory_dataset_store.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;

v1::StoredDataset Named(const std::string& name) {
  v1::StoredDataset dataset;
  dataset.set_name(name);
  return dataset;
}

TEST(MemoryDatasetStore, KeepsWhatWasCommittedUntilItIsRemoved) {
  MemoryDatasetStore store;
  EXPECT_TRUE(store.Load()->datasets.empty());
  {
    const auto dropped = store.Begin();
    ASSERT_TRUE((*dropped)->Append(std::vector<double>{9}).ok());
  }
  const auto upload = store.Begin();
  ASSERT_TRUE((*upload)->Append(std::vector<double>{1, 2}).ok());
  ASSERT_TRUE((*upload)->Append(std::vector<double>{3}).ok());
  ASSERT_TRUE((*upload)->Commit(Named("datasets/a")).ok());
  std::vector<double> read;
  const auto take = [&read](std::span<const double> values) {
    read.insert(read.end(), values.begin(), values.end());
  };
  ASSERT_TRUE(store.Read(Named("datasets/a"), take).ok());
  EXPECT_THAT(read, ElementsAre(1, 2, 3));
  EXPECT_TRUE(absl::IsDataLoss(store.Read(Named("datasets/b"), take)));
  EXPECT_TRUE(store.Remove("datasets/a").ok());
  EXPECT_TRUE(store.Remove("datasets/a").ok());
  EXPECT_TRUE(absl::IsDataLoss(store.Read(Named("datasets/a"), take)));
}

}  // namespace
}  // namespace polyak::storage
