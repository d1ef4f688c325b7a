#include "server/storage/memory_job_store.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/job_store_calls.h"

// What it does as every job store is in tests/conformance/job_store_test.cc.

namespace polyak::storage {
namespace {

using testing_support::MakeJob;

TEST(MemoryJobStore, AnswersBeforeTheCallReturnsAndKeepsNothing) {
  const testing_support::FakeClock clock;
  MemoryJobStore store(clock);
  bool answered = false;
  const auto job = MakeJob("a");
  store.Insert(job, {}, [&](const absl::Status& status) { answered = status.ok(); });
  EXPECT_TRUE(answered);
  JobSnapshot found;
  store.Get("a", [&](absl::StatusOr<JobSnapshot> answer) { found = *std::move(answer); });
  EXPECT_TRUE(found == job);  // the snapshot itself, not a copy
  EXPECT_FALSE(store.survives_restart());
}

}  // namespace
}  // namespace polyak::storage
