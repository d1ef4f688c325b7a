#include "server/storage/memory_run_store.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MemoryRunStore, AJobHasOneTraceUntilItIsRemoved) {
  MemoryRunStore store(2);
  v1::TrainingJob job;
  job.set_uid("u");
  const auto trace = store.OpenTrace(job);
  ASSERT_TRUE(trace.ok());
  EXPECT_EQ(*store.OpenTrace(job), *trace);
  EXPECT_THAT(*store.ListUids(), ElementsAre("u"));
  EXPECT_TRUE(store.Remove("u").ok());
  EXPECT_THAT(*store.ListUids(), IsEmpty());
  EXPECT_NE(*store.OpenTrace(job), *trace);
}

TEST(MemoryRunStore, ATraceWithDiagnosticsHasTheirColumns) {
  MemoryRunStore store(2, 3);
  v1::TrainingJob job;
  job.set_uid("u");
  EXPECT_EQ((*store.OpenTrace(job))->Read(0, 1, 1)->columns.size(), 2u);
  job.set_uid("v");
  job.mutable_spec()->set_diagnostics_interval(10);
  EXPECT_EQ((*store.OpenTrace(job))->Read(0, 1, 1)->columns.size(), 5u);
}

TEST(MemoryRunStore, AnEndedJobWithoutATraceHasNone) {
  MemoryRunStore store(2);
  v1::TrainingJob job;
  job.set_uid("u");
  job.mutable_end_time()->set_seconds(1);
  EXPECT_EQ(store.OpenTrace(job).status().code(), absl::StatusCode::kNotFound);
}

TEST(MemoryRunStore, KeepsNoCheckpoints) {
  MemoryRunStore store(2);
  bool saved = false;
  EXPECT_TRUE(store.WriteCheckpoint("u", 5, 1.0, [&](base::ByteSink&) { saved = true; }).ok());
  EXPECT_FALSE(saved);
  EXPECT_EQ(store.OpenCheckpoint("u", 100).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace polyak::storage
