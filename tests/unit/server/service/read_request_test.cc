#include "server/service/read_request.h"

#include <limits>
#include <optional>

#include "gmock/gmock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"
#include "tests/unit/server/service/stored_job.h"

namespace polyak::service {
namespace {

using ::testing::HasSubstr;

absl::Status Check(const StoredJob& job, int64_t stride, std::optional<int64_t> after) {
  ReadRequest request;
  request.options.stride = stride;
  request.after_iteration = after.value_or(-1);
  return CheckCursor(*job.job(), request, after.has_value());
}

// max_iterations is the default of 100,000.
TEST(CheckCursor, AcceptsEveryIterationOfTheJob) {
  StoredJob job;
  EXPECT_TRUE(Check(job, 1, std::nullopt).ok());
  EXPECT_TRUE(Check(job, 1, 0).ok());
  EXPECT_TRUE(Check(job, std::numeric_limits<int64_t>::max(), 100'000).ok());
}

TEST(CheckCursor, RefusesNegativeNumbersAndWhatTheJobNeverReaches) {
  StoredJob job;
  for (const int64_t after : {int64_t{-1}, int64_t{100'001}, std::numeric_limits<int64_t>::min()}) {
    EXPECT_EQ(Check(job, 1, after).code(), absl::StatusCode::kInvalidArgument) << after;
  }
  EXPECT_EQ(Check(job, -1, std::nullopt).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Check(job, -2, -3).message()), HasSubstr("2 fields"));
}

TEST(CheckCursor, BeyondTheRecordsOfAnEndedJobIsOutOfRange) {
  StoredJob job;
  job.Publish(11);
  EXPECT_TRUE(Check(job, 1, 500).ok());  // it may still get there
  job.End();
  EXPECT_TRUE(Check(job, 1, 10).ok());
  const absl::Status status = Check(job, 1, 11);
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("accepted: up to 10"));
}

class ParseReadRequestTest : public jobs::JobsTest {
 protected:
  template <typename Message>
  absl::StatusOr<ReadRequest> Parse(const Message& message) {
    std::promise<absl::StatusOr<ReadRequest>> promise;
    ParseReadRequest(*jobs_, message, [&promise](const auto& read) { promise.set_value(read); });
    return promise.get_future().get();
  }
};

TEST_F(ParseReadRequestTest, UnsetMeansEveryRecordFromTheFirst) {
  ASSERT_TRUE(Create(jobs::Request(jobs::kShort, "a")).ok());
  v1::WatchTrainingJobRequest message;
  message.set_name("trainingJobs/a");
  const auto request = Parse(message);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->options.stride, 1);
  EXPECT_EQ(request->after_iteration, -1);
  EXPECT_FALSE(request->options.with_prediction);
  EXPECT_FALSE(request->options.with_elapsed);
}

TEST_F(ParseReadRequestTest, KeepsWhatIsSet) {
  ASSERT_TRUE(Create(jobs::Request(jobs::kShort, "a")).ok());
  v1::ReadIterationsRequest message;
  message.set_name("trainingJobs/a");
  message.set_after_iteration(0);
  message.set_stride(7);
  message.set_with_prediction(true);
  message.set_with_elapsed(true);
  const auto request = Parse(message);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->job, *Find("trainingJobs/a"));
  EXPECT_EQ(request->options.stride, 7);
  EXPECT_EQ(request->after_iteration, 0);
  EXPECT_TRUE(request->options.with_prediction);
  EXPECT_TRUE(request->options.with_elapsed);
}

TEST_F(ParseReadRequestTest, AnUnknownJobIsNotFound) {
  v1::ReadIterationsRequest message;
  message.set_name("trainingJobs/x");
  EXPECT_EQ(Parse(message).status().code(), absl::StatusCode::kNotFound);
  message.set_name("x");
  EXPECT_EQ(Parse(message).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace polyak::service
