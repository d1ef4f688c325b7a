#include "server/storage/catalogue/queries.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/catalogue/changes.h"
#include "tests/support/catalogue_fixture.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;
using testing_support::EveryJob;
using testing_support::MakeEndedJob;
using testing_support::MakeJob;
using testing_support::Names;

class QueriesTest : public testing_support::CatalogueTest {
 protected:
  void Insert(const JobSnapshot& job) {
    Changes changes(*connection_);
    const Change change = InsertJob{job, MakeJobRow(*job), "request of " + job->name(), "digest"};
    const auto results = changes.Commit({&change}, clock_.WallTime());
    ASSERT_TRUE(results.ok() && results->front().ok());
  }
  void Run(const std::string& sql) { connection_->database().exec(sql); }
  std::vector<std::string> Listed() {
    ListPage page{EveryJob};
    ListResult result;
    EXPECT_TRUE(*queries_.ListSome(page, 100, result));
    return Names(result.jobs);
  }

  std::unique_ptr<Connection> connection_ = Connect();
  std::vector<absl::Status> damage_;
  Queries queries_{*connection_, [this](const absl::Status& status) { damage_.push_back(status); }};
};

TEST_F(QueriesTest, ADamagedJobIsDataLossAndHidesNoOther) {
  Insert(MakeJob("a"));
  Insert(MakeJob("bad"));
  Insert(MakeEndedJob("c", 5));
  Insert(MakeEndedJob("bad too", 5));
  Run("UPDATE jobs SET form = substr(form, 2) WHERE name LIKE 'bad%'");
  EXPECT_TRUE(absl::IsDataLoss(queries_.Get("bad", clock_.WallTime()).status()));
  EXPECT_TRUE(absl::IsDataLoss(
      queries_.FindRequest("request of bad", "digest", clock_.WallTime()).status()));
  EXPECT_THAT(Listed(), ElementsAre("c", "a"));
  EXPECT_THAT(Names(queries_.ListEnded(1)->jobs), ElementsAre("c"));
  const auto unfinished = queries_.LoadUnfinished();
  ASSERT_TRUE(unfinished.ok());
  ASSERT_EQ(unfinished->size(), 1u);
  EXPECT_EQ((*unfinished)[0].job->name(), "a");
  EXPECT_EQ(queries_.LoadUids()->size(), 4u);  // its files are nobody else's
  EXPECT_EQ(damage_.size(), 2u);               // told once each
}

TEST_F(QueriesTest, ASpecThatIsDamagedOrGoneIsDataLossAndStaysInLists) {
  const auto job = MakeJob("a");
  job->mutable_spec()->mutable_quadratic()->add_initial_point(0.1);
  Insert(job);
  Run("UPDATE specs SET spec = x'00'");
  EXPECT_TRUE(absl::IsDataLoss(queries_.Get("a", clock_.WallTime()).status()));
  Run("DELETE FROM specs");
  EXPECT_TRUE(absl::IsDataLoss(queries_.Get("a", clock_.WallTime()).status()));
  EXPECT_THAT(Listed(), ElementsAre("a"));
}

TEST_F(QueriesTest, ListsGoOnWhereTheyStopped) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    Insert(MakeJob(name));
  }
  ListPage page{EveryJob, 0, 4};
  ListResult result;
  EXPECT_FALSE(*queries_.ListSome(page, 2, result));
  EXPECT_THAT(Names(result.jobs), ElementsAre("e", "d"));
  EXPECT_FALSE(*queries_.ListSome(page, 2, result));
  EXPECT_TRUE(*queries_.ListSome(page, 2, result));
  EXPECT_THAT(Names(result.jobs), ElementsAre("e", "d", "c", "b"));
  EXPECT_EQ(result.next_before, 2);
}

// 20,000 ended jobs: what a start reads must not depend on them.
TEST_F(QueriesTest, LoadingTheUnfinishedReadsOnlyThose) {
  Insert(MakeJob("a"));
  Run("WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < 20000) "
      "INSERT INTO jobs (name, uid, ended, cancel_requested, crc, form) "
      "SELECT 'job' || n, 'uid' || n, n, 0, 0, zeroblob(500) FROM k");
  Insert(MakeJob("b"));
  // A second connection to a copy of the disk, with nothing read yet.
  testing_support::SimulatedDisk copy = disk_.CrashAt(disk_.log_size());
  testing_support::FaultyFileSystem files(copy);
  { const auto settle = Connection::Open(files, kFile); }  // copies the log into the file
  const int64_t before = files.calls(Call::kRead);
  const auto connection = *Connection::Open(files, kFile);
  Queries queries(*connection, {});
  const auto unfinished = queries.LoadUnfinished();
  ASSERT_TRUE(unfinished.ok());
  EXPECT_EQ(unfinished->size(), 2u);
  EXPECT_LT(files.calls(Call::kRead) - before, 40);  // pages, of 3,000
}

}  // namespace
}  // namespace polyak::storage
