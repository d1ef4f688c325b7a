#include "server/storage/catalogue/snapshot_cache.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/job_store_calls.h"

namespace polyak::storage {
namespace {

using testing_support::MakeEndedJob;
using testing_support::MakeJob;

// For three ended jobs like those below.
int64_t BytesOfThree() { return 3 * static_cast<int64_t>(MakeEndedJob("a", 1)->SpaceUsedLong()); }

TEST(SnapshotCache, KeepsEveryUnfinishedJob) {
  SnapshotCache cache(0);
  for (int k = 0; k < 100; ++k) {
    cache.Put(MakeJob(absl::StrCat("job", k)));
  }
  for (int k = 0; k < 100; ++k) {
    EXPECT_TRUE(cache.Find(absl::StrCat("job", k)) != nullptr) << k;
  }
  cache.Put(MakeEndedJob("job5", 1));  // no room for ended ones
  EXPECT_TRUE(cache.Find("job5") == nullptr);
  cache.Erase("job6");
  EXPECT_TRUE(cache.Find("job6") == nullptr);
}

TEST(SnapshotCache, ForgetsTheEndedJobThatWasNotUsedForLongest) {
  SnapshotCache cache(BytesOfThree());
  for (const char* name : {"a", "b", "c"}) {
    cache.Put(MakeEndedJob(name, 1));
  }
  EXPECT_TRUE(cache.Find("a") != nullptr);  // so that "b" is the one to go
  cache.Put(MakeEndedJob("d", 1));
  EXPECT_TRUE(cache.Find("b") == nullptr);
  for (const char* name : {"a", "c", "d"}) {
    EXPECT_TRUE(cache.Find(name) != nullptr) << name;
  }
}

TEST(SnapshotCache, CountsAJobThatIsPutAgainOnce) {
  SnapshotCache cache(BytesOfThree());
  for (int k = 0; k < 100; ++k) {
    cache.Put(MakeEndedJob("a", k + 1));
    cache.Erase("b");
    cache.Put(MakeEndedJob("b", k + 1));
  }
  cache.Put(MakeEndedJob("c", 1));
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(cache.Find(name) != nullptr) << name;
  }
  EXPECT_EQ(cache.Find("a")->end_time().seconds(), 100);
}

}  // namespace
}  // namespace polyak::storage
