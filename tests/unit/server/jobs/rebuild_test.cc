#include "server/jobs/rebuild.h"

#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/clock.h"
#include "server/jobs/identity.h"
#include "server/storage/memory_job_store.h"

namespace polyak::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

storage::FoundRun FoundJob(const std::string& id, int64_t created, bool is_lost = false) {
  storage::FoundRun run;
  run.uid = RandomUid();
  run.is_lost = is_lost;
  v1::TrainingJob job;
  job.set_name("trainingJobs/" + id);
  job.set_uid(run.uid);
  job.mutable_spec();
  job.mutable_create_time()->set_seconds(created);
  run.job = job;
  return run;
}

std::vector<std::string> Uids(const RebuildPlan& plan) {
  std::vector<std::string> uids;
  for (const storage::FoundRun& run : plan.restored) {
    uids.push_back(run.uid);
  }
  return uids;
}

TEST(PlanRebuild, JobsComeInTheOrderOfTheirCreationAndLostOnesIfAskedFor) {
  const auto late = FoundJob("late", 7);
  const auto early = FoundJob("early", 5);
  const auto lost = FoundJob("lost", 6, true);
  const RebuildPlan without = PlanRebuild({late, early, lost}, false);
  EXPECT_THAT(Uids(without), ElementsAre(early.uid, late.uid));
  EXPECT_EQ(without.lost, 1);
  const RebuildPlan with = PlanRebuild({late, early, lost}, true);
  EXPECT_THAT(Uids(with), ElementsAre(early.uid, lost.uid, late.uid));
  EXPECT_EQ(with.lost, 0);
}

TEST(PlanRebuild, OfOneNameTheNewestIsRestoredAndALostOneLast) {
  const auto old = FoundJob("a", 5);
  const auto newer = FoundJob("a", 6);
  const auto lost = FoundJob("a", 9, true);
  for (const auto& runs : {std::vector{old, newer, lost}, std::vector{lost, newer, old}}) {
    const RebuildPlan plan = PlanRebuild(runs, true);
    EXPECT_THAT(Uids(plan), ElementsAre(newer.uid));
    ASSERT_EQ(plan.left_out.size(), 2u);
    EXPECT_THAT(plan.left_out[0].why, HasSubstr("trainingJobs/a is that of"));
  }
}

TEST(PlanRebuild, WhatCanNotBeAJobIsLeftOutWithTheReason) {
  auto damaged = FoundJob("a", 1);
  damaged.job = absl::DataLossError("the header is cut");
  auto other = FoundJob("b", 1);
  other.uid = RandomUid();
  auto no_uid = FoundJob("c", 1);
  no_uid.uid = "x";
  no_uid.job->set_uid("x");
  auto no_name = FoundJob("d", 1);
  no_name.job->set_name("d");
  auto no_spec = FoundJob("e", 1);
  no_spec.job->clear_spec();
  const RebuildPlan plan = PlanRebuild({damaged, other, no_uid, no_name, no_spec}, true);
  EXPECT_THAT(Uids(plan), IsEmpty());
  std::vector<std::string> why;
  for (const auto& left : plan.left_out) {
    why.push_back(left.why);
  }
  EXPECT_THAT(why,
              ElementsAre("the header is cut", HasSubstr("of the uid"), HasSubstr("of the uid"),
                          HasSubstr("has the name 'd'"), HasSubstr("no spec")));
}

TEST(StoreJobs, RestoredJobsAreUnfinishedOnes) {
  auto run = FoundJob("a", 5);
  run.job->set_state(v1::TrainingJob::STATE_QUEUED);
  const base::SystemClock clock;
  storage::MemoryJobStore store(clock);
  ASSERT_TRUE(StoreJobs(PlanRebuild({run}, false), store).ok());
  const auto unfinished = store.LoadUnfinished();
  ASSERT_EQ(unfinished->size(), 1u);
  EXPECT_EQ((*unfinished)[0].job->state(), v1::TrainingJob::STATE_RUNNING);
  EXPECT_EQ((*unfinished)[0].job->start_time().seconds(), 5);
  EXPECT_FALSE((*unfinished)[0].cancel_requested);
  EXPECT_TRUE(absl::IsAlreadyExists(StoreJobs(PlanRebuild({run}, false), store)));
}

}  // namespace
}  // namespace polyak::jobs
