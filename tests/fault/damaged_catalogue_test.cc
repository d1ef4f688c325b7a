// Rows of the catalogue that are damaged between two lives of a server: their jobs can be deleted,
// and nothing else goes with them.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/storage/catalogue/connection.h"
#include "tests/fault/one_life.h"
#include "tests/support/simulated_disk.h"

namespace polyak::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing_support::SimulatedDisk;

constexpr char kSpec[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 50 }";

class DamagedCatalogue : public ::testing::Test {
 protected:
  DamagedCatalogue() {
    OneLife life(disk_);
    for (const char* const id : {"good", "bad"}) {
      EXPECT_TRUE(life.Create(kSpec, id).ok());
      uids_.push_back(life.WaitForEnd(*life.Find(id))->uid());
    }
    records_ = *OneLife::Records(**life.Find("good"));
  }

  void RunSql(const std::string& sql) {
    auto catalogue = storage::Connection::Open(disk_, "/data/catalogue.db");
    ASSERT_TRUE(catalogue.ok()) << catalogue.status();
    (*catalogue)->database().exec(sql);
  }
  // The names of the files of a job.
  std::vector<std::string> FilesOf(const std::string& uid, const std::string& folder) {
    std::vector<std::string> found;
    if (!disk_.Exists(folder).value()) {
      return found;
    }
    const auto names = disk_.List(folder);
    for (const std::string& name : names.value()) {
      if (name.starts_with(uid)) {
        found.push_back(name.substr(uid.size()));
      }
    }
    return found;
  }
  void ExpectTheOtherJob(OneLife& life) {
    const auto good = life.Find("good");
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_EQ(*OneLife::Records(**good), records_);
  }

  SimulatedDisk disk_;
  std::vector<std::string> uids_;  // good, bad
  std::string records_;            // of good
};

TEST_F(DamagedCatalogue, AJobWithADamagedRowIsDeletedWithItsFiles) {
  EXPECT_THAT(FilesOf(uids_[1], "/data/jobs"), ElementsAre(".checkpoint", ".trace"));
  RunSql("UPDATE jobs SET form = substr(form, 2) WHERE name = 'trainingJobs/bad'");
  {
    OneLife life(disk_);
    EXPECT_TRUE(absl::IsDataLoss(life.Get("bad").status()));
    EXPECT_TRUE(life.Delete("bad").ok());
    EXPECT_TRUE(absl::IsNotFound(life.Delete("bad")));
    EXPECT_THAT(FilesOf(uids_[1], "/data/jobs"), IsEmpty());
    ExpectTheOtherJob(life);
  }
  OneLife life(disk_);
  EXPECT_TRUE(absl::IsNotFound(life.Get("bad").status()));
  EXPECT_THAT(FilesOf(uids_[1], "/data/lost"), IsEmpty());
  ExpectTheOtherJob(life);
  EXPECT_TRUE(life.Create(kSpec, "again").ok());
}

TEST_F(DamagedCatalogue, FilesWhoseUidCanNotBeReadAnyMoreAreSetAsideAtTheNextStart) {
  int count = 0;
  for (const char* const uid : {"", "../jobs", "/data/catalogue.db"}) {
    SCOPED_TRACE(uid);
    const std::string id = absl::StrCat("other", ++count);
    std::string bad;
    {
      OneLife life(disk_);
      ASSERT_TRUE(life.Create(kSpec, id).ok());
      bad = life.WaitForEnd(*life.Find(id))->uid();
    }
    RunSql(absl::StrCat("UPDATE jobs SET uid = '", uid, "' WHERE name = 'trainingJobs/", id, "'"));
    {
      // This start can't know whose files they are, either.
      OneLife life(disk_);
      EXPECT_THAT(FilesOf(bad, "/data/lost"), ElementsAre(".checkpoint", ".trace"));
      EXPECT_TRUE(life.Delete(id).ok());
      ExpectTheOtherJob(life);
    }
    OneLife life(disk_);
    EXPECT_THAT(FilesOf(bad, "/data/lost"), ElementsAre(".checkpoint", ".trace"));
    EXPECT_TRUE(absl::IsNotFound(life.Get(id).status()));
    ExpectTheOtherJob(life);
  }
}

}  // namespace
}  // namespace polyak::jobs
