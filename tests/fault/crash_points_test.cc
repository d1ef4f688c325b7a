// The power is cut at any point of a server's life, whatever part of the unsynced writes survives,
// and again while the next server recovers. What was acknowledged is there, and every record is the
// one of a life without a cut.
//
//   POLYAK_CRASHES=20000 build/release/bin/polyak_fault_crash_points_test    (about as many states)

#include <algorithm>
#include <cstdio>
#include <future>
#include <latch>
#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "tests/fault/durable_server.h"
#include "tests/fault/one_life.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"

namespace polyak::jobs {
namespace {

using ::testing::HasSubstr;
using testing_support::CrashChoice;
using testing_support::SimulatedDisk;

constexpr char kQuadratic[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 1500 }";
constexpr char kNetwork[] =
    "relu_network { width: 20 dataset { name: 'datasets/digits' first_examples: 5 } } "
    "optimizer { gradient_descent {} } stopping { max_iterations: 30 }";

// What a client was told, and how much the disk had been asked for by then.
struct Told {
  size_t position;
  std::string what;
};

struct Story {
  std::vector<Told> created;
  size_t delete_begun = 0;
  std::vector<Told> deleted;
  std::map<std::string, std::pair<size_t, std::string>> ended;  // id: when, final form
  std::map<std::string, std::string> records;                   // of a life without a cut
};

std::string SpecOf(const std::string& id) { return id[0] == 'q' ? kQuadratic : kNetwork; }

// One life, told by what it acknowledges.
//   files: `disk`, or something faulty between it and the server.   go: opened when the jobs are
//   there.
Story Live(SimulatedDisk& disk, base::FileSystem& files, const OneLife::Wrap& wrap = nullptr,
           std::latch* go = nullptr) {
  Story story;
  OneLife life(files, wrap);
  std::map<std::string, std::shared_ptr<Job>> jobs;
  for (const std::string id : {"q1", "n1", "q2"}) {
    EXPECT_TRUE(life.Create(SpecOf(id), id).ok());
    story.created.push_back({disk.log_size(), id});
    jobs[id] = *life.Find(id);
  }
  if (go != nullptr) {
    go->count_down();
  }
  for (const auto& [id, job] : jobs) {
    const auto ended = life.WaitForEnd(job);
    EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
    story.ended[id] = {disk.log_size(), ended->SerializeAsString()};
    story.records[id] = *OneLife::Records(*job);
  }
  story.delete_begun = disk.log_size();
  EXPECT_TRUE(life.Delete("q1").ok());
  story.deleted.push_back({disk.log_size(), "q1"});
  EXPECT_TRUE(life.Create(kNetwork, "n2").ok());
  story.created.push_back({disk.log_size(), "n2"});
  story.records["n2"] = story.records["n1"];
  return story;
}

bool ToldBy(const std::vector<Told>& told, const std::string& id, size_t prefix) {
  for (const Told& one : told) {
    if (one.what == id && one.position <= prefix) {
      return true;
    }
  }
  return false;
}

// Returns what is wrong with a server that starts on `disk`, which has seen the first `prefix`
// operations of the story; empty: nothing.
std::string Judge(SimulatedDisk& disk, const Story& story, size_t prefix) {
  OneLife life(disk);
  for (const auto& [id, records] : story.records) {
    const bool deletion_begun = id == "q1" && prefix >= story.delete_begun;
    const auto job = life.Get(id);
    if (!job.ok()) {
      if (!absl::IsNotFound(job.status())) {
        return absl::StrCat(id, ": ", job.status().ToString());
      }
      if (ToldBy(story.created, id, prefix) && !deletion_begun) {
        return absl::StrCat(id, " was acknowledged and is lost");
      }
      continue;
    }
    if (ToldBy(story.deleted, id, prefix)) {
      return absl::StrCat(id, " was deleted and is back");
    }
    const auto told_end = story.ended.find(id);
    if (told_end != story.ended.end() && told_end->second.first <= prefix &&
        (*job)->SerializeAsString() != told_end->second.second) {
      return absl::StrCat(id, " had ended, and is now ", (*job)->ShortDebugString());
    }
    const auto found_job = life.Find(id);
    if (!found_job.ok()) {
      return absl::StrCat(id, ": ", found_job.status().ToString());
    }
    const auto ended = life.WaitForEnd(*found_job);
    if (ended->state() != v1::TrainingJob::STATE_SUCCEEDED) {
      return absl::StrCat(id, " does not end well: ", ended->ShortDebugString());
    }
    const auto found = OneLife::Records(**found_job);
    if (!found.ok() || *found != records) {
      return absl::StrCat(id, " has other records: ",
                          found.ok() ? absl::StrCat(found->size(), " bytes of ", records.size())
                                     : found.status().ToString());
    }
  }
  return "";
}

struct State {
  size_t prefix;
  CrashChoice choice;
};

// Every crash point: with every choice, or, if there are more than `count` states in all, with
// equally many of its own, drawn by a seed. At least one each.
std::vector<State> States(const SimulatedDisk& disk, size_t count) {
  std::vector<State> states;
  std::mt19937 random(11);
  const size_t points = disk.log_size() + 1;
  const size_t each = std::max<size_t>(count / points, 1);
  for (size_t prefix = 0; prefix < points; ++prefix) {
    std::vector<CrashChoice> choices = disk.CrashChoices(prefix);
    std::shuffle(choices.begin(), choices.end(), random);
    choices.resize(std::min(choices.size(), each));
    for (CrashChoice& choice : choices) {
      states.push_back({prefix, std::move(choice)});
    }
  }
  std::shuffle(states.begin(), states.end(), random);
  return states;
}

TEST(CrashPoints, WhateverIsLeftOfTheDiskNothingAcknowledgedIsLost) {
  SimulatedDisk disk;
  const Story story = Live(disk, disk);
  ASSERT_GE(disk.log_size(), 60u);
  const auto wanted = static_cast<size_t>(CountFromEnvironment("POLYAK_CRASHES", 1500));
  const std::vector<State> states = States(disk, wanted);
  std::mt19937 random(5);
  int again = 0;
  for (const State& state : states) {
    SimulatedDisk left = disk.CrashAt(state.prefix, state.choice);
    const std::string wrong = Judge(left, story, state.prefix);
    ASSERT_EQ(wrong, "") << disk.Describe(state.prefix, state.choice);
    // The recovery's own log, cut once more.
    if (random() % 3 == 0) {
      const size_t prefix = random() % (left.log_size() + 1);
      const auto choices = left.CrashChoices(prefix);
      const CrashChoice& choice = choices[random() % choices.size()];
      SimulatedDisk rest = left.CrashAt(prefix, choice);
      ++again;
      ASSERT_EQ(Judge(rest, story, state.prefix), "")
          << disk.Describe(state.prefix, state.choice) << "\nthen, in the recovery:\n"
          << left.Describe(prefix, choice);
    }
  }
  std::printf("%zu operations, %zu states of the disk, %d of them cut again in the recovery\n",
              disk.log_size(), states.size(), again);
}

// Tests of the test: a server with one mistake in it must be found out.

// A catalogue that answers too early, or lets files go too early.
class EarlyStore : public storage::JobStore {
 public:
  enum class Mistake { kCreate, kEnd, kRemoveFiles };
  // go: no job begins before it is open.
  EarlyStore(storage::JobStore& below, storage::RunStore& runs, Mistake mistake, std::latch& go)
      : below_(below), runs_(runs), mistake_(mistake), go_(go) {}

  void Insert(storage::JobSnapshot job, const storage::RequestKey& key,
              storage::Done done) override {
    if (mistake_ == Mistake::kCreate) {
      done(absl::OkStatus());
      done = [](const absl::Status& /*status*/) {};
    }
    below_.Insert(std::move(job), key, std::move(done));
  }
  void Update(storage::JobSnapshot job, storage::Done done) override {
    go_.wait();
    if (mistake_ == Mistake::kEnd && job->has_end_time()) {
      {
        const base::MutexLock lock(&mutex_);
        late_.push_back(std::move(job));
      }
      return done(absl::OkStatus());
    }
    // Waits, so that no earlier change is answered after the end.
    std::promise<absl::Status> stored;
    below_.Update(std::move(job),
                  [&stored](const absl::Status& status) { stored.set_value(status); });
    done(stored.get_future().get());
  }
  void RequestCancel(const std::string& name, storage::Done done) override {
    below_.RequestCancel(name, std::move(done));
  }
  void Remove(const std::string& name, const std::string& uid, storage::Done done) override {
    if (mistake_ == Mistake::kRemoveFiles) {
      EXPECT_TRUE(runs_.Remove(uid).ok());
    }
    below_.Remove(name, uid, std::move(done));
  }
  void RemoveDamaged(const std::string& name, storage::RemoveDamagedDone done) override {
    below_.RemoveDamaged(name, std::move(done));
  }
  void Get(const std::string& name, storage::GetDone done) const override {
    StoreLate();
    below_.Get(name, std::move(done));
  }
  void FindRequest(const storage::RequestKey& key, storage::GetDone done) const override {
    below_.FindRequest(key, std::move(done));
  }
  void List(const storage::ListPage& page, storage::ListDone done) const override {
    below_.List(page, std::move(done));
  }
  void ListEnded(int64_t limit, storage::ListDone done) const override {
    below_.ListEnded(limit, std::move(done));
  }
  void FindDatasetUse(const std::string& dataset, storage::DatasetUseDone done) const override {
    below_.FindDatasetUse(dataset, std::move(done));
  }
  absl::StatusOr<std::vector<storage::StoredJob>> LoadUnfinished() override {
    return below_.LoadUnfinished();
  }
  absl::StatusOr<std::vector<std::string>> LoadUids() override { return below_.LoadUids(); }
  bool survives_restart() const override { return true; }

 private:
  void StoreLate() const {
    std::vector<storage::JobSnapshot> late;
    {
      const base::MutexLock lock(&mutex_);
      late.swap(late_);
    }
    for (storage::JobSnapshot& job : late) {
      std::promise<void> stored;
      below_.Update(std::move(job),
                    [&stored](const absl::Status& /*status*/) { stored.set_value(); });
      stored.get_future().wait();
    }
  }

  storage::JobStore& below_;
  storage::RunStore& runs_;
  const Mistake mistake_;
  std::latch& go_;
  mutable base::Mutex mutex_;
  // Ended jobs that the catalogue is told of when somebody asks it.
  mutable std::vector<storage::JobSnapshot> late_ ABSL_GUARDED_BY(mutex_);
};

// The first thing that is wrong after a cut, looked for in many states; empty: nothing was found.
std::string FirstWrong(const SimulatedDisk& disk, const Story& story) {
  for (const State& state : States(disk, 2000)) {
    SimulatedDisk left = disk.CrashAt(state.prefix, state.choice);
    if (std::string wrong = Judge(left, story, state.prefix); !wrong.empty()) {
      return wrong;
    }
  }
  return "";
}

// In one life of a server; a commit that happens to overtake the answer leaves nothing to find.
std::string WrongInOneLife(EarlyStore::Mistake mistake) {
  SimulatedDisk disk;
  std::latch go(1);
  const Story story = Live(
      disk, disk,
      [mistake, &go](storage::JobStore& below, storage::RunStore& runs) {
        return std::make_unique<EarlyStore>(below, runs, mistake, go);
      },
      &go);
  return FirstWrong(disk, story);
}

std::string WrongWith(EarlyStore::Mistake mistake) {
  constexpr int kLives = 5;
  std::string wrong;
  for (int life = 0; life < kLives && wrong.empty(); ++life) {
    wrong = WrongInOneLife(mistake);
  }
  return wrong;
}

TEST(PlantedBug, AcknowledgedBeforeTheCommit) {
  EXPECT_THAT(WrongWith(EarlyStore::Mistake::kCreate), HasSubstr("was acknowledged and is lost"));
}

TEST(PlantedBug, TerminalBeforeTheCommit) {
  EXPECT_THAT(WrongWith(EarlyStore::Mistake::kEnd), HasSubstr("had ended, and is now"));
}

TEST(PlantedBug, FilesUnlinkedBeforeTheTombstone) {
  EXPECT_THAT(WrongWith(EarlyStore::Mistake::kRemoveFiles),
              HasSubstr("records of trainingJobs/q1 are missing"));
}

TEST(PlantedBug, NoDirectorySyncAfterACreation) {
  SimulatedDisk disk;
  testing_support::FaultyFileSystem files(disk);
  testing_support::FaultyFileSystem::Rule rule;
  rule.call = testing_support::FaultyFileSystem::Call::kSyncDirectory;
  rule.path = "/data/jobs";
  rule.times = testing_support::FaultyFileSystem::kAlways;
  rule.fault.action = testing_support::FaultyFileSystem::Fault::Action::kSwallow;
  files.AddRule(rule);
  const Story story = Live(disk, files);
  EXPECT_THAT(FirstWrong(disk, story), HasSubstr("are missing"));
}

}  // namespace
}  // namespace polyak::jobs
