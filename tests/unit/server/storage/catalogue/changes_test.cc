#include "server/storage/catalogue/changes.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/catalogue_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::MakeJob;

InsertJob Insertion(const JobSnapshot& job, const std::string& request_id = "") {
  return {job, MakeJobRow(*job), request_id, "digest"};
}

class ChangesTest : public testing_support::CatalogueTest {
 protected:
  absl::StatusOr<std::vector<absl::Status>> Commit(const std::vector<Change>& changes) {
    std::vector<const Change*> pointers;
    for (const Change& change : changes) {
      pointers.push_back(&change);
    }
    return changes_.Commit(pointers, clock_.WallTime());
  }
  int Count(const std::string& table) {
    return connection_->database().execAndGet("SELECT COUNT(*) FROM " + table).getInt();
  }
  std::unique_ptr<Connection> connection_ = Connect();
  Changes changes_{*connection_};
};

TEST_F(ChangesTest, AnErrorOfOneChangeLeavesTheOthersAlone) {
  const auto results =
      Commit({Insertion(MakeJob("a")), Insertion(MakeJob("a", "other")), Insertion(MakeJob("b")),
              RemoveJob{"never", "never"}, CancelJob{"never"},
              UpdateJob{MakeJob("c"), MakeJobRow(*MakeJob("c"))}});
  ASSERT_TRUE(results.ok()) << results.status();
  std::vector<absl::StatusCode> codes;
  for (const absl::Status& result : *results) {
    codes.push_back(result.code());
  }
  using Code = absl::StatusCode;
  EXPECT_THAT(codes, ::testing::ElementsAre(Code::kOk, Code::kAlreadyExists, Code::kOk,
                                            Code::kNotFound, Code::kNotFound, Code::kNotFound));
  EXPECT_EQ(Count("jobs"), 2);
}

TEST_F(ChangesTest, AUidOfAnotherJobIsRefusedWithoutBreakingTheTransaction) {
  const auto results = Commit(
      {Insertion(MakeJob("a", "uid")), Insertion(MakeJob("b", "uid")), RemoveJob{"a", "uid"}});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[1], absl::AlreadyExistsError("the uid of b is that of a"));
  EXPECT_EQ(Count("jobs"), 0);
}

TEST_F(ChangesTest, ChangesOfStateDoNotWriteTheNumbersOfASpecAgain) {
  const auto job = MakeJob("a");
  for (int k = 0; k < 100'000; ++k) {
    job->mutable_spec()->mutable_quadratic()->add_initial_point(k + 0.5);
  }
  ASSERT_TRUE(Commit({Insertion(job)}).ok());
  job->set_state(v1::TrainingJob::STATE_RUNNING);
  int64_t written = 0;
  files_.SetHook([&](const testing_support::FaultyFileSystem::Operation& operation) {
    written += operation.call == Call::kWrite ? operation.size : 0;
    return std::nullopt;
  });
  ASSERT_TRUE(Commit({UpdateJob{job, MakeJobRow(*job)}}).ok());
  files_.SetHook({});
  EXPECT_GT(written, 0);
  EXPECT_LT(written, 50'000);  // of 800,000
  ASSERT_TRUE(Commit({RemoveJob{"a", "a"}}).ok());
  EXPECT_EQ(Count("specs"), 0);
}

TEST_F(ChangesTest, WhatHasExpiredIsForgottenInPassing) {
  for (int k = 0; k < 3; ++k) {
    const std::string name = absl::StrCat("job", k);
    ASSERT_TRUE(Commit({Insertion(MakeJob(name), name), RemoveJob{name, name}}).ok());
  }
  clock_.Advance(absl::Hours(24));
  ASSERT_TRUE(Commit({Insertion(MakeJob("a"), "new")}).ok());
  EXPECT_EQ(Count("requests"), 1);
  EXPECT_EQ(Count("tombstones"), 3);
  clock_.Advance(absl::Hours(24 * 29));
  ASSERT_TRUE(Commit({CancelJob{"a"}}).ok());
  EXPECT_EQ(Count("requests"), 0);
  EXPECT_EQ(Count("tombstones"), 0);
}

TEST_F(ChangesTest, ADamagedRowIsNotSealedAnewByACancel) {
  ASSERT_TRUE(Commit({Insertion(MakeJob("a")), Insertion(MakeJob("b"))}).ok());
  connection_->database().exec("UPDATE jobs SET form = x'00' WHERE name = 'a'");
  const auto results = Commit({CancelJob{"a"}, CancelJob{"b"}, RemoveJob{"a", "a"}});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE((*results)[1].ok());
  EXPECT_EQ((*results)[2].code(), absl::StatusCode::kDataLoss);
  const auto uid = std::make_shared<std::string>();
  const auto removed = Commit({RemoveDamagedJob{"a", uid}});
  ASSERT_TRUE(removed.ok());
  EXPECT_TRUE((*removed)[0].ok());
  EXPECT_EQ(*uid, "a");
  EXPECT_EQ(Count("jobs"), 1);
  EXPECT_EQ(Count("tombstones"), 1);
  EXPECT_EQ(connection_->database().execAndGet("PRAGMA writable_schema").getInt(), 0);
}

}  // namespace
}  // namespace polyak::storage
