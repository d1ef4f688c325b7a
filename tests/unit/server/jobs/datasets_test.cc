#include "server/jobs/datasets.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/memory_dataset_store.h"
#include "server/storage/memory_job_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/job_store_calls.h"

namespace polyak::jobs {
namespace {

using ::testing::HasSubstr;

// Can lose what it holds.
class FragileStore : public storage::MemoryDatasetStore {
 public:
  absl::Status Read(const v1::StoredDataset& dataset, const Take& take) const override {
    return damaged ? absl::DataLossError("its values are damaged")
                   : storage::MemoryDatasetStore::Read(dataset, take);
  }
  absl::Status Remove(const std::string& name) override {
    return stuck ? absl::UnavailableError("the disk failed")
                 : storage::MemoryDatasetStore::Remove(name);
  }
  bool damaged = false;
  bool stuck = false;
};

class DatasetsTest : public ::testing::Test {
 protected:
  DatasetsTest() {
    Datasets::Options options;
    options.bytes_max = 3 * DatasetBytes(3, 2, 1);
    options.uploads_max = 2;
    options.limits.max_examples = 1000;
    datasets_ = std::make_unique<Datasets>(options, store_, jobs_, clock_);
    EXPECT_TRUE(datasets_->Load().ok());
  }

  static v1::DatasetHeader Header(int64_t examples = 3) {
    v1::DatasetHeader header;
    header.set_examples(examples);
    header.set_input_dimension(2);
    header.set_output_dimension(1);
    return header;
  }
  // 3 x 2 features 0, 1, ... 5 and targets 6, 7, 8, all plus `shift`.
  absl::StatusOr<v1::StoredDataset> Store(double shift = 0) {
    auto upload = datasets_->Begin(Header(), [] {});
    if (!upload.ok()) {
      return upload.status();
    }
    v1::DatasetChunk chunk;
    for (int k = 0; k < 9; ++k) {
      chunk.add_values(k + shift);
    }
    EXPECT_TRUE((*upload)->Add(chunk).ok());
    return (*upload)->Finish();
  }
  absl::Status Delete(const std::string& name) {
    auto answer = std::make_shared<std::promise<absl::Status>>();
    datasets_->Delete(name, [answer](const absl::Status& status) { answer->set_value(status); });
    return answer->get_future().get();
  }
  void InsertJob(const std::string& id, const std::string& dataset) {
    auto job = testing_support::MakeJob("trainingJobs/" + id);
    job->mutable_spec()->mutable_quadratic()->mutable_least_squares()->mutable_dataset()->set_name(
        dataset);
    EXPECT_TRUE(testing_support::JobStoreCalls(jobs_).Insert(job).ok());
  }

  testing_support::FakeClock clock_;
  storage::MemoryJobStore jobs_{clock_};
  FragileStore store_;
  std::unique_ptr<Datasets> datasets_;
};

TEST_F(DatasetsTest, GivesFirstExamplesToWhoNamesThem) {
  const auto stored = Store();
  ASSERT_TRUE(stored.ok()) << stored.status();
  const auto found = datasets_->Find(stored->name());
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->examples, 3);
  EXPECT_EQ(found->input_dimension, 2);
  EXPECT_EQ(found->output_dimension, 1);
  const auto all = found->load(3);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->features, (engine::Matrix{{0, 1}, {2, 3}, {4, 5}}));
  EXPECT_EQ(all->targets, (engine::Matrix{{6}, {7}, {8}}));
  const auto two = found->load(2);
  EXPECT_EQ(two->features, (engine::Matrix{{0, 1}, {2, 3}}));
  EXPECT_EQ(two->targets, (engine::Matrix{{6}, {7}}));
  EXPECT_FALSE(datasets_->Find("datasets/none").has_value());
}

TEST_F(DatasetsTest, TheSameNumbersAreKeptOnce) {
  const auto first = Store();
  const auto second = Store();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->name(), second->name());
  EXPECT_EQ(datasets_->FindSame(first->sha256())->name(), first->name());
  EXPECT_FALSE(datasets_->FindSame("").has_value());
  EXPECT_TRUE(Store(1).ok());
  EXPECT_TRUE(Store(2).ok());
  // Room for three.
  EXPECT_THAT(std::string{Store(3).status().message()}, HasSubstr("are taken by others"));
  EXPECT_TRUE(Delete(first->name()).ok());
  EXPECT_TRUE(Store(3).ok());
}

TEST_F(DatasetsTest, RefusesWhatNeverFitsAndTooManyAtOnce) {
  EXPECT_EQ(datasets_->Begin(Header(1001), [] {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(datasets_->Begin(Header(0), [] {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(datasets_->Begin(Header(1000), [] {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  v1::DatasetHeader header = Header();
  header.set_sha256("ABC");
  EXPECT_EQ(datasets_->Begin(header, [] {}).status().code(), absl::StatusCode::kInvalidArgument);
  const auto first = datasets_->Begin(Header(), [] {});
  auto second = datasets_->Begin(Header(), [] {});
  EXPECT_EQ(datasets_->Begin(Header(), [] {}).status().code(),
            absl::StatusCode::kResourceExhausted);
  second->reset();
  EXPECT_TRUE(datasets_->Begin(Header(), [] {}).ok());
}

TEST_F(DatasetsTest, OneThatStandsStillMakesRoomForOthers) {
  int given_up = 0;
  auto still = datasets_->Begin(Header(), [&given_up] { ++given_up; });
  auto busy = datasets_->Begin(Header(), [] { FAIL(); });
  EXPECT_FALSE(datasets_->Begin(Header(), [] {}).ok());
  EXPECT_EQ(given_up, 0);  // for a minute it may
  clock_.Advance(absl::Seconds(61));
  v1::DatasetChunk chunk;
  chunk.add_values(1);
  ASSERT_TRUE((*busy)->Add(chunk).ok());
  EXPECT_EQ(given_up, 0);  // nobody needs its place
  EXPECT_FALSE(datasets_->Begin(Header(), [] {}).ok());
  EXPECT_EQ(given_up, 1);
  still->reset();
  EXPECT_TRUE(datasets_->Begin(Header(), [] {}).ok());
}

TEST_F(DatasetsTest, IsNotDeletedWhileAJobNamesIt) {
  const std::string name = Store()->name();
  InsertJob("b", name);
  InsertJob("a", name);
  const absl::Status named = Delete(name);
  EXPECT_EQ(named.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string{named.message()},
              HasSubstr("is named by 2 jobs, one of them trainingJobs/a"));
  EXPECT_TRUE(datasets_->Find(name).has_value());  // as before
  testing_support::JobStoreCalls calls(jobs_);
  EXPECT_TRUE(calls.Remove("trainingJobs/a").ok());
  EXPECT_THAT(std::string{Delete(name).message()}, HasSubstr("by 1 job, trainingJobs/b"));
  EXPECT_TRUE(calls.Remove("trainingJobs/b").ok());
  {
    const auto on_its_way = datasets_->Find(name);  // a job that is not stored yet
    EXPECT_EQ(Delete(name).code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(Delete(name).ok());
  EXPECT_EQ(Delete(name).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(datasets_->Find(name).has_value());
  EXPECT_EQ(Delete("datasets/wine").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DatasetsTest, StaysWhereItCantBeRemoved) {
  const std::string name = Store()->name();
  store_.stuck = true;
  EXPECT_EQ(Delete(name).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(datasets_->Find(name).has_value());
  store_.stuck = false;
  EXPECT_TRUE(Delete(name).ok());
}

TEST_F(DatasetsTest, ADamagedOneCanBeSentAgain) {
  const auto stored = Store();
  store_.damaged = true;
  EXPECT_TRUE(absl::IsDataLoss(datasets_->Find(stored->name())->load(3).status()));
  EXPECT_FALSE(datasets_->FindSame(stored->sha256()).has_value());
  store_.damaged = false;
  ASSERT_TRUE(Store().ok());
  EXPECT_TRUE(datasets_->FindSame(stored->sha256()).has_value());
  EXPECT_TRUE(datasets_->Find(stored->name())->load(3).ok());
  EXPECT_TRUE(Store(1).ok());
  EXPECT_TRUE(Store(2).ok());  // it still takes the room of one
}

// An earlier server stored it, and since then its values were damaged.
TEST_F(DatasetsTest, ADamagedOneCanBeSentAgainAlsoAfterARestart) {
  const auto stored = Store();
  class Restarted : public FragileStore {
   public:
    absl::StatusOr<Loaded> Load() override { return loaded; }
    Loaded loaded;
  } store;
  store.loaded.datasets = {*stored};
  Datasets restarted(Datasets::Options(), store, jobs_, clock_);
  ASSERT_TRUE(restarted.Load().ok());
  EXPECT_TRUE(restarted.Find(stored->name()).has_value());
  EXPECT_FALSE(restarted.FindSame(stored->sha256()).has_value());  // the store has no values
  auto upload = restarted.Begin(Header(), [] {});
  v1::DatasetChunk chunk;
  for (int k = 0; k < 9; ++k) {
    chunk.add_values(k);
  }
  ASSERT_TRUE((*upload)->Add(chunk).ok());
  ASSERT_TRUE((*upload)->Finish().ok());
  EXPECT_TRUE(restarted.FindSame(stored->sha256()).has_value());
  EXPECT_TRUE(restarted.Find(stored->name())->load(3).ok());
}

TEST_F(DatasetsTest, OneThatTookTheRoomOfADamagedOneIsKnownByItsOwnNameAndTimeAtOnce) {
  const auto first = Store();
  const auto on_its_way = datasets_->Find(first->name());  // a job that is not stored yet
  store_.damaged = true;
  EXPECT_FALSE(on_its_way->load(3).ok());
  clock_.Advance(absl::Seconds(5));
  auto upload = datasets_->Begin(
      [] {
        v1::DatasetHeader header = Header();
        header.set_display_name("again");
        return header;
      }(),
      [] {});
  v1::DatasetChunk chunk;
  for (int k = 0; k < 9; ++k) {
    chunk.add_values(k);
  }
  ASSERT_TRUE((*upload)->Add(chunk).ok());
  const auto second = (*upload)->Finish();
  ASSERT_TRUE(second.ok()) << second.status();
  store_.damaged = false;
  EXPECT_EQ(second->display_name(), "again");
  EXPECT_EQ(datasets_->Get(first->name())->SerializeAsString(), second->SerializeAsString());
  // Whoever held the damaged one holds the name.
  EXPECT_EQ(Delete(first->name()).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DatasetsTest, ASumOfOtherSizesIsRefused) {
  const auto stored = Store();
  v1::DatasetHeader header = Header();
  header.set_sha256(stored->sha256());
  EXPECT_EQ((*datasets_->FindAnnounced(header))->name(), stored->name());
  header.set_examples(1);
  header.set_input_dimension(8);
  const auto refused = datasets_->FindAnnounced(header);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  header.set_sha256(std::string(64, '0'));
  EXPECT_FALSE(datasets_->FindAnnounced(header)->has_value());
}

// An earlier server stored it, and since then its header was damaged, with the sizes.
TEST_F(DatasetsTest, AFileThatIsNoDataSetAnyMoreIsDamagedUntilItIsSentAgainOrDeleted) {
  const auto stored = Store();
  const std::string name = stored->name();
  class Restarted : public FragileStore {
   public:
    explicit Restarted(const std::string& name) : name_(name) {}
    absl::StatusOr<Loaded> Load() override {
      const absl::Status damaged = absl::DataLossError(name_ + " is damaged: why");
      return Loaded{{}, {{name_, damaged}, {"datasets/wine", damaged}, {"datasets/_", damaged}}};
    }
    absl::Status Remove(const std::string& name) override {
      removed = name;
      return FragileStore::Remove(name);
    }
    std::string removed;

   private:
    const std::string name_;
  } store(name);
  InsertJob("a", name);
  Datasets restarted(Datasets::Options(), store, jobs_, clock_);
  ASSERT_TRUE(restarted.Load().ok());
  EXPECT_FALSE(restarted.Find(name).has_value());
  EXPECT_TRUE(restarted.CheckUsable("datasets/wine").ok());
  EXPECT_TRUE(restarted.CheckUsable("datasets/none").ok());
  const absl::Status unusable = restarted.CheckUsable(name);
  EXPECT_TRUE(absl::IsDataLoss(unusable)) << unusable;
  EXPECT_EQ(unusable.message(), name + " is damaged: why; send it again");
  EXPECT_EQ(restarted.Get(name).status(), unusable);
  const auto remove = [&] {
    std::promise<absl::Status> answer;
    restarted.Delete(name, [&answer](const absl::Status& status) { answer.set_value(status); });
    return answer.get_future().get();
  };
  EXPECT_EQ(remove().code(), absl::StatusCode::kFailedPrecondition);  // as long as a job names it
  EXPECT_TRUE(absl::IsDataLoss(restarted.CheckUsable(name)));
  EXPECT_TRUE(testing_support::JobStoreCalls(jobs_).Remove("trainingJobs/a").ok());
  store.stuck = true;
  EXPECT_EQ(remove().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::IsDataLoss(restarted.CheckUsable(name)));
  store.stuck = false;
  EXPECT_TRUE(remove().ok());
  EXPECT_EQ(store.removed, name);
  EXPECT_EQ(remove().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(restarted.CheckUsable(name).ok());
  // Or sent again.
  ASSERT_TRUE(restarted.Load().ok());
  auto upload = restarted.Begin(Header(), [] {});
  v1::DatasetChunk chunk;
  for (int k = 0; k < 9; ++k) {
    chunk.add_values(k);
  }
  ASSERT_TRUE((*upload)->Add(chunk).ok());
  ASSERT_TRUE((*upload)->Finish().ok());
  EXPECT_TRUE(restarted.CheckUsable(name).ok());
  EXPECT_TRUE(restarted.Find(name)->load(3).ok());
}

TEST_F(DatasetsTest, ListsAllInPagesWhateverHappensBetween) {
  std::vector<std::string> expected = {"datasets/diabetes", "datasets/digits", "datasets/wine"};
  std::vector<std::string> sent = {Store(0)->name(), Store(1)->name(), Store(2)->name()};
  std::sort(sent.begin(), sent.end());
  expected.insert(expected.end(), sent.begin(), sent.end());
  std::vector<std::string> found;
  v1::ListDatasetsRequest request;
  request.set_page_size(1);
  do {
    const auto page = datasets_->List(request);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->datasets_size(), 1);
    found.push_back(page->datasets(0).name());
    request.set_page_token(page->next_page_token());
    if (found.size() == 4) {
      EXPECT_TRUE(Delete(sent[0]).ok());  // the place that the token names
    }
  } while (!request.page_token().empty());
  EXPECT_EQ(found, expected);
  request.set_page_token("wine");
  EXPECT_EQ(datasets_->List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_page_size(-1);
  EXPECT_EQ(datasets_->List(request).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(datasets_->Get("datasets/wine")->examples(), 178);
  EXPECT_EQ(datasets_->Get(sent[1])->name(), sent[1]);
  EXPECT_EQ(datasets_->Get(sent[0]).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace polyak::jobs
