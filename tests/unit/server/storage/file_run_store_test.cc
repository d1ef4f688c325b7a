#include "server/storage/file_run_store.h"

#include <array>
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kColumns = 2;
constexpr int kDiagnosticColumns = 3;

v1::TrainingJob MakeJob() {
  v1::TrainingJob job;
  job.set_name("trainingJobs/a");
  job.set_uid("u");
  job.mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
  return job;
}

void Append(Trace& trace, double value, int64_t rows) {
  trace.Reserve(rows);
  for (int64_t row = 0; row < rows; ++row) {
    trace.Append(std::array<double, kColumns>{value, 2 * value});
  }
}

class FileRunStoreTest : public ::testing::Test {
 protected:
  FileRunStoreTest() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    store_ = Open("g++ 1");
  }
  std::unique_ptr<FileRunStore> Open(const std::string& build) {
    FileRunStore::Options options;
    options.columns = kColumns;
    options.diagnostic_columns = kDiagnosticColumns;
    options.machine.build = build;
    auto store = FileRunStore::Open(disk_, "/data", options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  testing_support::SimulatedDisk disk_;
  std::unique_ptr<FileRunStore> store_;
};

TEST_F(FileRunStoreTest, ATraceIsThereAgainWhenItIsOpenedAnew) {
  {
    auto trace = *store_->OpenTrace(MakeJob());
    ASSERT_TRUE(trace->Rewind(0).ok());
    Append(*trace, 1, 5);
    ASSERT_TRUE(trace->Publish(0.5).ok());
  }
  EXPECT_EQ((*store_->OpenTrace(MakeJob()))->row_count(), 5);
  v1::TrainingJob ended = MakeJob();
  ended.mutable_end_time()->set_seconds(1);
  ended.mutable_summary()->set_iterations(4);
  const auto trace = *store_->OpenTrace(ended);
  EXPECT_EQ(trace->row_count(), 5);
  EXPECT_THAT(trace->Read(4, 10, 1)->columns[1], ElementsAre(2.0));
}

TEST_F(FileRunStoreTest, ARemovedRunLeavesNothingToALateWriter) {
  const auto late = *store_->OpenTrace(MakeJob());
  ASSERT_TRUE(store_->Remove("u").ok());
  const absl::Status kept = late->WhileNewest([this] {
    return store_->WriteCheckpoint("u", 0, 0, [](base::ByteSink& sink) { sink.WriteInt(1); });
  });
  EXPECT_TRUE(absl::IsAborted(kept)) << kept;
  EXPECT_THAT(*store_->ListUids(), IsEmpty());
}

TEST_F(FileRunStoreTest, ARemovedRunLeavesNothingToItsRepair) {
  {
    auto trace = *store_->OpenTrace(MakeJob());
    Append(*trace, 1, 5);
    ASSERT_TRUE(trace->Publish(0.5).ok());
    ASSERT_TRUE(trace->Sync().ok());
  }
  v1::TrainingJob ended = MakeJob();
  ended.mutable_end_time()->set_seconds(1);
  ended.mutable_summary()->set_iterations(4);
  const auto repair = store_->OpenRepair(ended);
  ASSERT_TRUE(repair.ok()) << repair.status();
  ASSERT_TRUE(store_->Remove("u").ok());
  const absl::Status kept = (*repair)->trace().WhileNewest([this] {
    return store_->WriteCheckpoint("u", 4, 0, [](base::ByteSink& sink) { sink.WriteInt(1); });
  });
  EXPECT_TRUE(absl::IsAborted(kept)) << kept;
  EXPECT_THAT(*store_->ListUids(), IsEmpty());
}

TEST_F(FileRunStoreTest, ARunThatIsSetAsideIsOutOfTheWayAndStillThere) {
  ASSERT_TRUE(store_->OpenTrace(MakeJob()).ok());
  ASSERT_TRUE(
      store_->WriteCheckpoint("u", 0, 0, [](base::ByteSink& sink) { sink.WriteInt(1); }).ok());
  ASSERT_TRUE(store_->SetAside("u").ok());
  EXPECT_THAT(*store_->ListUids(), IsEmpty());
  EXPECT_THAT(*disk_.List("/data/lost"), ElementsAre("u.checkpoint", "u.trace"));
  EXPECT_TRUE(store_->SetAside("never-was").ok());
}

TEST_F(FileRunStoreTest, AnEndedJobWithoutRecordsHasNoTrace) {
  v1::TrainingJob ended = MakeJob();
  ended.mutable_end_time()->set_seconds(1);
  EXPECT_EQ(store_->OpenTrace(ended).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FileRunStoreTest, ACheckpointComesBackUnlessItIsBeyondTheRecords) {
  ASSERT_TRUE(
      store_->WriteCheckpoint("u", 7, 1.5, [](base::ByteSink& sink) { sink.WriteString("state"); })
          .ok());
  auto checkpoint = store_->OpenCheckpoint("u", 7);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->iteration, 7);
  EXPECT_EQ(checkpoint->elapsed_seconds, 1.5);
  EXPECT_EQ(checkpoint->state->ReadString(100), "state");
  EXPECT_EQ(store_->OpenCheckpoint("u", 6).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FileRunStoreTest, RemovingARunLeavesNothing) {
  ASSERT_TRUE(store_->OpenTrace(MakeJob()).ok());
  ASSERT_TRUE(store_->WriteCheckpoint("u", 0, 0, [](base::ByteSink& /*sink*/) {}).ok());
  EXPECT_THAT(*store_->ListUids(), ElementsAre("u"));
  EXPECT_TRUE(store_->Remove("u").ok());
  EXPECT_THAT(*store_->ListUids(), IsEmpty());
  EXPECT_TRUE(store_->Remove("u").ok());  // a second time: it is gone as well
}

// The same build must compute the same bits; another one the same numbers to rounding.
TEST_F(FileRunStoreTest, AnotherBuildIsHeldToRoundingAndThisOneToTheBit) {
  {
    auto trace = *store_->OpenTrace(MakeJob());
    ASSERT_TRUE(trace->Rewind(0).ok());
    Append(*trace, 1, 5);
    ASSERT_TRUE(trace->Publish(0.5).ok());
    ASSERT_TRUE(trace->Sync().ok());
  }
  const auto compute_again = [](FileRunStore& store, double value) {
    auto trace = *store.OpenTrace(MakeJob());
    EXPECT_TRUE(trace->Rewind(0).ok());
    Append(*trace, value, 5);
    return trace->Publish(1);
  };
  const double next = std::nextafter(1.0, 2.0);
  EXPECT_TRUE(compute_again(*store_, 1).ok());
  EXPECT_EQ(compute_again(*store_, next).code(), absl::StatusCode::kDataLoss);
  const auto other = Open("g++ 2");
  EXPECT_TRUE(compute_again(*other, next).ok());
  EXPECT_EQ(compute_again(*other, 1 + 1e-8).code(), absl::StatusCode::kDataLoss);
}

TEST_F(FileRunStoreTest, ATraceWithDiagnosticsHasTheirColumns) {
  const auto columns = [this](const v1::TrainingJob& job) {
    return (*store_->OpenTrace(job))->Read(0, 1, 1)->columns.size();
  };
  v1::TrainingJob job = MakeJob();
  EXPECT_EQ(columns(job), size_t{kColumns});
  job.set_uid("diagnosed");
  job.mutable_spec()->set_diagnostics_interval(10);
  EXPECT_EQ(columns(job), size_t{kColumns + kDiagnosticColumns});
  job.mutable_summary()->set_iterations(2000);
  v1::TrainingJob plain = job;
  plain.mutable_spec()->clear_diagnostics_interval();
  EXPECT_GE(*store_->RepairBytes(job),
            *store_->RepairBytes(plain) + int64_t{2048 * kDiagnosticColumns * sizeof(double)});
}

// A flip has no tolerance: where two builds disagree on its iteration, the stored one stays.
TEST_F(FileRunStoreTest, DiagnosticsOfAnotherBuildAreComparedByWhereTheyAre) {
  v1::TrainingJob job = MakeJob();
  job.mutable_spec()->set_diagnostics_interval(1);
  const auto compute = [&job](FileRunStore& store, double diagnostic) {
    auto trace = *store.OpenTrace(job);
    EXPECT_TRUE(trace->Rewind(0).ok());
    trace->Reserve(1);
    trace->Append(std::array<double, kColumns + kDiagnosticColumns>{1, 2, diagnostic, 3, 4});
    const absl::Status status = trace->Publish(0.5);
    EXPECT_TRUE(trace->Sync().ok() || !status.ok());
    return status;
  };
  ASSERT_TRUE(compute(*store_, 0.25).ok());
  EXPECT_EQ(compute(*store_, 0.5).code(), absl::StatusCode::kDataLoss);
  const auto other = Open("g++ 2");
  EXPECT_TRUE(compute(*other, 0.5).ok());
  EXPECT_EQ(compute(*other, std::nan("")).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ((*other->OpenTrace(job))->Read(0, 1, 1)->columns[kColumns][0], 0.25);
}

}  // namespace
}  // namespace polyak::storage
