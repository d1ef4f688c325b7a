#include "server/storage/catalogue/job_row.h"

#include <google/protobuf/util/message_differencer.h>

#include "gtest/gtest.h"
#include "tests/support/job_store_calls.h"

namespace polyak::storage {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using testing_support::MakeEndedJob;

v1::TrainingJob JobWithNumbers() {
  v1::TrainingJob job = *MakeEndedJob("a", 5, "uid");
  job.mutable_spec()->mutable_quadratic()->add_initial_point(0.1);
  job.mutable_spec()->set_seed(7);
  return job;
}

JobRow Sealed(JobRow row) {
  row.crc = CrcOf(row);
  return row;
}

TEST(JobRow, GivesTheJobBackWholeOrAsListsShowIt) {
  const v1::TrainingJob job = JobWithNumbers();
  const JobRow row = Sealed(MakeJobRow(job));
  EXPECT_EQ(row.name, "a");
  EXPECT_EQ(row.uid, "uid");
  EXPECT_EQ(row.ended, 5'000'000);
  const auto whole = ParseJob(row);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_TRUE(MessageDifferencer::Equals(**whole, job));
  v1::TrainingJob form = job;
  form.mutable_spec()->mutable_quadratic()->clear_initial_point();
  const auto listed = ParseForm(row);
  ASSERT_TRUE(listed.ok());
  EXPECT_TRUE(MessageDifferencer::Equals(**listed, form));
}

TEST(JobRow, HasNoSpecOfItsOwnWithoutExplicitNumbers) {
  v1::TrainingJob job = JobWithNumbers();
  job.mutable_spec()->mutable_quadratic()->clear_initial_point();
  const JobRow row = Sealed(MakeJobRow(job));
  EXPECT_FALSE(row.spec_crc.has_value());
  EXPECT_TRUE(row.spec.empty());
  EXPECT_TRUE(MessageDifferencer::Equals(**ParseJob(row), job));
}

TEST(JobRow, EveryFlippedBitIsDamage) {
  const JobRow good = Sealed(MakeJobRow(JobWithNumbers()));
  for (size_t k = 0; k < 8 * good.form.size(); ++k) {
    JobRow row = good;
    row.form[k / 8] = static_cast<char>(row.form[k / 8] ^ (1 << k % 8));
    EXPECT_TRUE(absl::IsDataLoss(ParseForm(row).status())) << k;
    EXPECT_TRUE(absl::IsDataLoss(ParseJob(row).status())) << k;
  }
  for (size_t k = 0; k < 8 * good.spec.size(); ++k) {
    JobRow row = good;
    row.spec[k / 8] = static_cast<char>(row.spec[k / 8] ^ (1 << k % 8));
    EXPECT_TRUE(ParseForm(row).ok());
    EXPECT_TRUE(absl::IsDataLoss(ParseJob(row).status())) << k;
  }
}

TEST(JobRow, EveryChangedColumnIsDamage) {
  const JobRow good = Sealed(MakeJobRow(JobWithNumbers()));
  const auto expect_damage = [&](auto change) {
    JobRow row = good;
    change(row);
    EXPECT_TRUE(absl::IsDataLoss(ParseForm(row).status()));
  };
  expect_damage([](JobRow& row) { row.name = std::string("b"); });
  expect_damage([](JobRow& row) { row.uid = std::string("other"); });
  expect_damage([](JobRow& row) { row.ended = 0; });
  expect_damage([](JobRow& row) { row.cancel_requested = true; });
  expect_damage([](JobRow& row) { row.spec_crc.reset(); });
  expect_damage([](JobRow& row) { row.crc ^= 1; });
  // A row with a right CRC of another job's form.
  expect_damage([](JobRow& row) {
    row.name = std::string("b");
    row = Sealed(row);
  });
}

TEST(JobRow, ASpecThatIsMissingIsDamage) {
  JobRow row = Sealed(MakeJobRow(JobWithNumbers()));
  row.spec.clear();
  EXPECT_TRUE(absl::IsDataLoss(ParseJob(row).status()));
}

}  // namespace
}  // namespace polyak::storage
