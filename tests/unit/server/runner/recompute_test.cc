#include "server/runner/recompute.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "server/runner/runner.h"
#include "server/storage/file_run_store.h"
#include "server/storage/memory_run_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/runner/prepared.h"

namespace polyak::runner {
namespace {

using ::testing::HasSubstr;

constexpr char kSpec[] =
    "quadratic { spectrum { generated { dimension: 5 condition_number: 1e4 } } } optimizer { "
    "polyak_momentum {} } stopping { max_iterations: 3000 }";
constexpr char kTrace[] = "/data/jobs/u.trace";

class RecomputeTest : public ::testing::Test {
 protected:
  RecomputeTest() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    store_ = Open("g++ 1");
    job_.set_name("trainingJobs/a");
    job_.set_uid("u");
    *job_.mutable_spec() = SpecOf(kSpec);
    job_.set_state(v1::TrainingJob::STATE_RUNNING);
    const auto trace = store_->OpenTrace(job_).value();
    const auto result =
        runner::Run(*PreparedOf(kSpec), RunContext{"u", *store_, *trace, stop_, stop_, clock_})
            .value();
    job_.set_state(v1::TrainingJob::STATE_SUCCEEDED);
    job_.mutable_end_time()->set_seconds(1);
    *job_.mutable_summary() = result.summary;
    records_ = Records();
  }
  std::unique_ptr<storage::FileRunStore> Open(const std::string& build) {
    storage::FileRunStore::Options options;
    options.columns = engine::kTraceColumns;
    options.machine = {build, "a processor", 7};
    return storage::FileRunStore::Open(disk_, "/data", options).value();
  }
  std::string Records() {
    const auto trace = store_->OpenTrace(job_).value();
    const auto records = trace->Read(0, trace->row_count(), 1);
    return records.ok() ? testing::PrintToString(records->columns)
                        : std::string{records.status().message()};
  }
  void Overwrite(int64_t offset, const std::string& bytes) {
    const auto file = disk_.Open(kTrace, base::FileSystem::Mode::kUpdate).value();
    ASSERT_TRUE(file->Write(offset, bytes).ok());
  }

  testing_support::SimulatedDisk disk_;
  testing_support::FakeClock clock_{0.004};
  base::StopToken stop_;
  std::unique_ptr<storage::FileRunStore> store_;
  v1::TrainingJob job_;
  std::string records_;
};

TEST_F(RecomputeTest, MendsWhatIsDamaged) {
  Overwrite(4096 + 2000, "damage");
  ASSERT_NE(Records(), records_);
  const absl::Status status = Recompute(job_, *store_, stop_, clock_);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Records(), records_);
}

TEST_F(RecomputeTest, AnotherBuildDoesNotRepair) {
  Overwrite(4096 + 2000, "damage");
  const auto other = Open("g++ 2");
  const absl::Status status = Recompute(job_, *other, stop_, clock_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string{status.message()}, HasSubstr("'g++ 1 a processor 7'"));
  EXPECT_THAT(std::string{status.message()}, HasSubstr("'g++ 2 a processor 7'"));
}

// The header is damaged too: the checkpoint says who computed; without one nobody does.
TEST_F(RecomputeTest, WhoComputedIsReadFromTheCheckpointIfTheHeaderIsDamaged) {
  Overwrite(0, "damage");
  EXPECT_TRUE(absl::IsFailedPrecondition(Recompute(job_, *Open("g++ 2"), stop_, clock_)));
  const absl::Status status = Recompute(job_, *store_, stop_, clock_);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Records(), records_);
  Overwrite(0, "damage");
  for (const char* const name : {"u.checkpoint", "u.checkpoint.previous"}) {
    static_cast<void>(disk_.Remove(std::string{"/data/jobs/"} + name));
  }
  EXPECT_THAT(std::string{Recompute(job_, *store_, stop_, clock_).message()},
              HasSubstr("neither the header"));
}

TEST_F(RecomputeTest, OneThatIsStoppedChangesNothing) {
  Overwrite(4096 + 2000, "damage");
  const std::string damaged = Records();
  stop_.RequestStop();
  EXPECT_EQ(Recompute(job_, *store_, stop_, clock_).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Records(), damaged);
}

TEST_F(RecomputeTest, AJobOfMoreRecordsThanItsRunHasIsNotRepaired) {
  job_.mutable_summary()->set_iterations(4000);
  const absl::Status status = Recompute(job_, *store_, stop_, clock_);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string{status.message()}, HasSubstr("after 3001 records"));
  EXPECT_THAT(std::string{status.message()}, HasSubstr("had 4001"));
}

TEST_F(RecomputeTest, ASpecThatIsNotAcceptedAnyMoreIsNotRepaired) {
  job_.mutable_spec()->clear_optimizer();
  EXPECT_TRUE(absl::IsFailedPrecondition(Recompute(job_, *store_, stop_, clock_)));
}

TEST_F(RecomputeTest, InMemoryThereIsNothingToRepair) {
  storage::MemoryRunStore memory(engine::kTraceColumns);
  EXPECT_TRUE(absl::IsFailedPrecondition(Recompute(job_, memory, stop_, clock_)));
}

}  // namespace
}  // namespace polyak::runner
