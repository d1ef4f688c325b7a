// The trace of an ended job, damaged anywhere: a reader is told DATA_LOSS, never a wrong number;
// then the records are computed again, and every one of them is what it was. What can't be proved
// to be the same is not taken.

#include <array>
#include <cstdio>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "server/storage/checkpoint.h"
#include "server/storage/trace_file.h"
#include "tests/fault/one_life.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"

namespace polyak::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;

// Three blocks of records, the last one in part.
constexpr char kSpec[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 1000 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 2500 }";
constexpr char kEndless[] =
    "quadratic { spectrum { generated { dimension: 20000 condition_number: 1e8 } } } "
    "optimizer { gradient_descent {} } stopping { max_iterations: 10000000 }";
constexpr int64_t kBlockBytes = 26'112;

class Healing : public ::testing::Test {
 protected:
  Healing() {
    options_.on_repair = [this](const v1::TrainingJob& /*job*/, RepairStep step,
                                const absl::Status& why) {
      if (step == RepairStep::kBegun && on_begun_ != nullptr) {
        std::exchange(on_begun_, nullptr)();
      }
      const base::MutexLock lock(&mutex_);
      steps_.push_back(step);
      why_ = why;
      stepped_.SignalAll();
    };
  }

  void Begin() {
    life_ = std::make_unique<OneLife>(files_, nullptr, options_, disk_bytes_);
    ASSERT_TRUE(life_->Create(kSpec, "a").ok());
    const auto ended = life_->WaitForEnd(*life_->Find("a"));
    ASSERT_EQ(ended->summary().iterations(), 2500);
    Restart();
    path_ = "/data/jobs/" + ended->uid() + ".trace";
    checkpoint_path_ = "/data/jobs/" + ended->uid() + ".checkpoint";
    records_ = *Read();
    bytes_ = Bytes(path_);
  }
  // Nothing is in memory afterwards: not even the last records of a job that has just ended.
  void Restart() {
    life_.reset();
    life_ = std::make_unique<OneLife>(files_, nullptr, options_, disk_bytes_);
  }
  std::string Bytes(const std::string& path) {
    const auto file = disk_.Open(path, base::FileSystem::Mode::kRead).value();
    std::string bytes(static_cast<size_t>(file->Size().value()), '\0');
    EXPECT_TRUE(file->Read(0, bytes).ok());
    return bytes;
  }
  void Put(const std::string& path, const std::string& bytes) {
    const auto file = disk_.Open(path, base::FileSystem::Mode::kOverwrite).value();
    ASSERT_TRUE(file->Write(0, bytes).ok());
  }
  // Every record, by whatever is opened now; as service/iteration_reader.cc reads them.
  absl::StatusOr<std::string> Read() {
    const auto job = life_->Find("a");
    if (!job.ok()) {
      return job.status();
    }
    auto records = OneLife::Records(**job);
    if (!records.ok()) {
      return records;
    }
    // What a summary says must not be wrong, either.
    const std::array<int64_t, 3> edges = {0, 1000, 2501};
    const auto summary = (*job)->reader()->Summarize(0, edges);
    return summary.ok() ? std::move(records) : summary.status();
  }
  size_t StepCount() {
    const base::MutexLock lock(&mutex_);
    return steps_.size();
  }
  // The steps after the first `from`, up to one that ends a repair.
  std::vector<RepairStep> StepsToEnd(size_t from) {
    const base::MutexLock lock(&mutex_);
    while (steps_.size() <= from || steps_.back() == RepairStep::kBegun) {
      stepped_.Wait(&mutex_);
    }
    return {steps_.begin() + static_cast<ptrdiff_t>(from), steps_.end()};
  }
  absl::Status why() {
    const base::MutexLock lock(&mutex_);
    return why_;
  }
  // Returns whether a reader met the damage.
  bool ExpectHealed(const std::string& damaged) {
    const size_t before = StepCount();
    Put(path_, damaged);
    const auto found = Read();
    if (found.ok()) {
      EXPECT_EQ(*found, records_);  // what was damaged is there twice, or is not read
      EXPECT_EQ(StepCount(), before);
      return false;
    }
    EXPECT_EQ(found.status().code(), absl::StatusCode::kDataLoss) << found.status();
    EXPECT_THAT(std::string{found.status().message()}, HasSubstr("being computed again"));
    EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kDone)) << why();
    const auto healed = Read();
    EXPECT_TRUE(healed.ok()) << healed.status();
    EXPECT_TRUE(healed.ok() && *healed == records_);
    EXPECT_FALSE(disk_.Exists(path_ + ".new").value());
    return true;
  }

  base::Mutex mutex_;
  base::CondVar stepped_;
  std::vector<RepairStep> steps_ ABSL_GUARDED_BY(mutex_);
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_begun_;  // once
  JobsOptions options_;
  std::optional<int64_t> disk_bytes_;
  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<OneLife> life_;
  std::string path_;  // of the trace
  std::string checkpoint_path_;
  std::string bytes_;    // of it, whole
  std::string records_;  // likewise
};

using Harm = std::function<void(std::string& bytes, size_t place)>;

TEST_F(Healing, WhereverTheFileIsDamagedItIsHealed) {
  Begin();
  const std::pair<const char*, Harm> kHarms[] = {
      {"flip", [](std::string& bytes, size_t place) { bytes[place] ^= 0x10; }},
      {"zeros",
       [](std::string& bytes, size_t place) {
         std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(place),
                     std::min<size_t>(5000, bytes.size() - place), '\0');
       }},
      {"cut", [](std::string& bytes, size_t place) { bytes.resize(place); }},
  };
  int met = 0;
  for (const auto& [name, harm] : kHarms) {
    // The header byte by byte at its fields, the rest at every 397th: 397 is prime, so that all
    // places in a row and in a head's slot come up.
    for (size_t place = 0; place < bytes_.size(); place += place < 64 ? 8 : 397) {
      SCOPED_TRACE(absl::StrCat(name, " at ", place));
      std::string damaged = bytes_;
      harm(damaged, place);
      met += ExpectHealed(damaged) ? 1 : 0;
      if (HasFailure()) {
        return;
      }
    }
  }
  EXPECT_GT(met, 300);
  std::printf("%d damages met and healed\n", met);
}

TEST_F(Healing, AFileThatIsGoneIsComputedAnew) {
  Begin();
  const size_t before = StepCount();
  ASSERT_TRUE(disk_.Remove(path_).ok());
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kDone)) << why();
  EXPECT_EQ(*Read(), records_);
}

// Also one that neither its rule nor the number of iterations had ended.
TEST_F(Healing, ACancelledJobIsHealedUpToItsLastRecord) {
  Begin();
  ASSERT_TRUE(life_->Create(kEndless, "b").ok());
  auto job = *life_->Find("b");
  while (job->reader()->row_count() < 1) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(life_->Cancel("b").ok());
  const auto ended = life_->WaitForEnd(job);
  ASSERT_EQ(ended->state(), v1::TrainingJob::STATE_CANCELLED);
  const std::string records = *OneLife::Records(*job);
  Restart();
  const std::string path = "/data/jobs/" + ended->uid() + ".trace";
  std::string damaged = Bytes(path);
  std::fill(damaged.begin() + 4096, damaged.end(), '\0');
  Put(path, damaged);
  const size_t before = StepCount();
  EXPECT_TRUE(absl::IsDataLoss(OneLife::Records(**life_->Find("b")).status()));
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kDone)) << why();
  EXPECT_EQ(*OneLife::Records(**life_->Find("b")), records);
}

TEST_F(Healing, ADamagedLastCheckpointIsMendedOnTheWay) {
  Begin();
  const std::string whole = Bytes(checkpoint_path_);
  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  Put(checkpoint_path_, damaged);
  std::string trace = bytes_;
  trace[kBlockBytes] ^= 1;
  ASSERT_TRUE(ExpectHealed(trace));
  const std::string mended = Bytes(checkpoint_path_);
  ASSERT_EQ(mended.size(), whole.size());
  EXPECT_NE(mended, damaged);
}

TEST_F(Healing, ADamagedLastCheckpointAloneIsMendedForWhoeverAsksForTheParameters) {
  Begin();
  const auto values = life_->Parameters("a");
  ASSERT_TRUE(values.ok()) << values.status();
  std::string damaged = Bytes(checkpoint_path_);
  for (const size_t place : {size_t{40}, damaged.size() - 50}) {  // in its header, behind it
    damaged = Bytes(checkpoint_path_);
    damaged[place] ^= 1;
    Put(checkpoint_path_, damaged);
    const size_t before = StepCount();
    const absl::Status told = life_->Parameters("a").status();
    EXPECT_EQ(told.code(), absl::StatusCode::kDataLoss) << told;
    EXPECT_THAT(std::string{told.message()}, HasSubstr("the last checkpoint of trainingJobs/a is"));
    EXPECT_THAT(std::string{told.message()}, HasSubstr("being computed again"));
    EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kDone)) << why();
    const auto mended = life_->Parameters("a");
    ASSERT_TRUE(mended.ok()) << mended.status();
    EXPECT_EQ(*mended, *values);
  }
  EXPECT_EQ(*Read(), records_);
}

// As another build of this version may have left it: whole, and nothing that can be read here.
TEST_F(Healing, ALastCheckpointOfAnotherLayoutIsMadeAnewOnce) {
  Begin();
  const auto values = life_->Parameters("a");
  ASSERT_TRUE(values.ok()) << values.status();
  const std::string uid = path_.substr(11, 36);
  {
    auto opened = storage::OpenCheckpoint(disk_, checkpoint_path_, uid, 2500);
    ASSERT_TRUE(opened.ok()) << opened.status();
    std::string state;
    for (char byte = 0; !opened->payload->at_end(); state.push_back(byte)) {
      opened->payload->Read({&byte, 1});
    }
    ++state[0];
    ASSERT_TRUE(
        storage::WriteCheckpoint(disk_, checkpoint_path_, opened->head, [&](base::ByteSink& sink) {
          sink.Write(state);
        }).ok());
    ASSERT_TRUE(disk_.Remove(checkpoint_path_ + ".previous").ok());
  }
  const size_t before = StepCount();
  const absl::Status told = life_->Parameters("a").status();
  EXPECT_EQ(told.code(), absl::StatusCode::kDataLoss) << told;
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kDone)) << why();
  const auto mended = life_->Parameters("a");
  ASSERT_TRUE(mended.ok()) << mended.status();
  EXPECT_EQ(*mended, *values);
}

// Which build on which processor computed the records is said in three places.
TEST_F(Healing, WithoutTheHeaderOfTheTraceThatOfADamagedCheckpointOrTheCatalogueSaysWhoComputedIt) {
  Begin();
  std::string trace = bytes_;
  trace[100] ^= 1;
  std::string checkpoint = Bytes(checkpoint_path_);
  checkpoint[checkpoint.size() - 50] ^= 1;
  Put(checkpoint_path_, checkpoint);
  EXPECT_TRUE(ExpectHealed(trace));
  for (const char* const ending : {"", ".previous"}) {
    if (disk_.Exists(checkpoint_path_ + ending).value()) {
      ASSERT_TRUE(disk_.Remove(checkpoint_path_ + ending).ok());
    }
  }
  EXPECT_TRUE(ExpectHealed(trace));
}

TEST_F(Healing, AnotherBuildThatTheCatalogueNamesIsBelieved) {
  options_.build = "another build";  // the files know none
  Begin();
  std::string trace = bytes_;
  trace[100] ^= 1;
  Put(path_, trace);
  ASSERT_TRUE(disk_.Remove(checkpoint_path_).ok());
  const size_t before = StepCount();
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kRefused));
  EXPECT_THAT(std::string{why().message()}, HasSubstr("computed by 'another build"));
}

// With room for three jobs and a half.
TEST_F(Healing, ACopyThatFindsNoRoomMakesOtherEndedJobsGoThatEndedFirst) {
  std::vector<std::string> forgotten;
  options_.on_forget = [&forgotten](const v1::TrainingJob& job, const absl::Status& /*status*/) {
    forgotten.push_back(job.name());
  };
  disk_bytes_ = 7 * 86'016 / 2;
  Begin();
  for (const char* const id : {"b", "c"}) {
    ASSERT_TRUE(life_->Create(kSpec, id).ok());
    life_->WaitForEnd(*life_->Find(id));
  }
  Restart();
  std::string damaged = bytes_;
  damaged[4096 + 3000] ^= 1;
  EXPECT_TRUE(ExpectHealed(damaged));
  EXPECT_THAT(forgotten, ElementsAre("trainingJobs/b"));
  EXPECT_TRUE(life_->Get("c").ok());
}

TEST_F(Healing, ARepairThatCanNotBeMakesNoJobGo) {
  options_.on_forget = [](const v1::TrainingJob& job, const absl::Status& /*status*/) {
    ADD_FAILURE() << job.name();
  };
  options_.build = "another build";
  disk_bytes_ = 7 * 86'016 / 2;
  Begin();
  for (const char* const id : {"b", "c"}) {
    ASSERT_TRUE(life_->Create(kSpec, id).ok());
    life_->WaitForEnd(*life_->Find(id));
  }
  Restart();
  std::string damaged = bytes_;
  damaged[100] ^= 1;  // with its header the trace has lost who computed it
  Put(path_, damaged);
  ASSERT_TRUE(disk_.Remove(checkpoint_path_).ok());
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(0), ElementsAre(RepairStep::kBegun, RepairStep::kRefused));
  EXPECT_THAT(std::string{why().message()}, HasSubstr("computed by 'another build"));
  EXPECT_TRUE(life_->Get("b").ok());
}

TEST_F(Healing, ACopyThatNeverFitsIsRefusedWithTheReasonAndNoJobGoes) {
  options_.on_forget = [](const v1::TrainingJob& job, const absl::Status& /*status*/) {
    ADD_FAILURE() << job.name();
  };
  disk_bytes_ = 86'016 * 3 / 2;
  Begin();
  std::string damaged = bytes_;
  damaged[4096 + 3000] ^= 1;
  Put(path_, damaged);
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(0), ElementsAre(RepairStep::kBegun, RepairStep::kRefused));
  EXPECT_THAT(std::string{Read().status().message()},
              HasSubstr("it can't be repaired: a repair needs a copy for its time: 0.08"));
  EXPECT_EQ(Bytes(path_), damaged);
}

// A record that is whole and another one than is computed: the file, or this machine, is not what
// it seems.
TEST_F(Healing, WhatIsComputedOtherwiseIsNotTaken) {
  Begin();
  {
    auto file = *storage::TraceFile::Open(disk_, path_, path_.substr(11, 36),
                                          base::FileSystem::Mode::kUpdate);
    storage::TraceBlock block(file->layout(), file->uid_hash(), 2);
    ASSERT_TRUE(file->ReadBlock(2, 453, block).ok());
    block.column(0)[452] *= 1 + 1e-15;
    storage::BlockHead head = block.head;
    head.count = 0;
    head.columns.assign(3, storage::ColumnHead());
    head = storage::ExtendHead(head, block, 453, {});
    for (int slot = 0; slot < 3; ++slot) {
      block.newest_slot = slot;
      ASSERT_TRUE(file->Store(head, 0, block).ok());
    }
  }
  std::string planted = Bytes(path_);
  planted[4096 + 3000] ^= 1;  // in block 0
  Put(path_, planted);
  const size_t before = StepCount();
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kRefused));
  EXPECT_THAT(std::string{why().message()}, HasSubstr("row 2500, column 0"));
  EXPECT_EQ(Bytes(path_), planted);
  EXPECT_FALSE(disk_.Exists(path_ + ".new").value());
  // It is not tried again, and readers are told why.
  const absl::Status told = Read().status();
  EXPECT_THAT(std::string{told.message()}, HasSubstr("can't be repaired: row 2500, column 0"));
  EXPECT_EQ(StepCount(), before + 2);
}

// Where no checksum of the last records is left, the job's summary is their witness.
TEST_F(Healing, ASummaryThatTheRecordsDoNotComeToIsNotAccepted) {
  Begin();
  const auto snapshot = life_->Get("a");
  ASSERT_TRUE(snapshot.ok());
  v1::TrainingJob other = **snapshot;
  other.mutable_summary()->set_final_loss(2 * other.summary().final_loss());
  life_.reset();
  {
    base::SystemClock clock;
    auto store = *storage::SqliteJobStore::Open(disk_, clock, {.directory = "/data"});
    std::promise<absl::Status> stored;
    store->Update(std::make_shared<const v1::TrainingJob>(other),
                  [&stored](const absl::Status& status) { stored.set_value(status); });
    ASSERT_TRUE(stored.get_future().get().ok());
  }
  life_ = std::make_unique<OneLife>(files_, nullptr, options_, disk_bytes_);
  const size_t before = StepCount();
  const std::string cut = bytes_.substr(0, 4096 + 2 * kBlockBytes);
  Put(path_, cut);
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kRefused));
  EXPECT_THAT(std::string{why().message()}, HasSubstr("summary"));
  EXPECT_EQ(Bytes(path_), cut);
}

TEST_F(Healing, ADiskThatFailsOnTheWayLeavesTheFileAsItWasAndTheNextReaderAsksAgain) {
  Begin();
  std::string damaged = bytes_;
  damaged[4096 + 3000] ^= 1;
  using Call = FaultyFileSystem::Call;
  for (const Call call : {Call::kWrite, Call::kSync, Call::kRename}) {
    int failures = 0;
    for (int64_t nth = 1; nth < 100; ++nth) {
      Put(path_, damaged);
      const size_t before = StepCount();
      files_.ClearRules();
      const size_t rule = files_.AddRule({.call = call, .path = ".trace.new", .nth = nth});
      const absl::Status status = Read().status();
      EXPECT_TRUE(absl::IsDataLoss(status));
      const std::string told{status.message()};
      if (failures > 0) {
        EXPECT_THAT(told, HasSubstr("the last time it could not be: "));
      }
      const RepairStep end = StepsToEnd(before).back();
      if (end == RepairStep::kDone) {
        files_.ClearRules();
        break;
      }
      ++failures;
      static_cast<void>(rule);
      ASSERT_EQ(end, RepairStep::kPutOff) << why();
      EXPECT_EQ(Bytes(path_), damaged);
    }
    EXPECT_GT(failures, 0) << static_cast<int>(call);
    EXPECT_EQ(*Read(), records_);
  }
}

// The only worker is the jobs': a repair waits for them.
TEST_F(Healing, ARepairWaitsForJobs) {
  Begin();
  ASSERT_TRUE(life_->Create(kEndless, "b").ok());
  std::string damaged = bytes_;
  damaged[4096 + 3000] ^= 1;
  Put(path_, damaged);
  const size_t before = StepCount();
  for (int k = 0; k < 3; ++k) {
    EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  }
  EXPECT_EQ(StepCount(), before);
  ASSERT_TRUE(life_->Cancel("b").ok());
  EXPECT_THAT(StepsToEnd(before), ElementsAre(RepairStep::kBegun, RepairStep::kDone));
  EXPECT_EQ(*Read(), records_);
}

TEST_F(Healing, ARepairMakesWayForAJobAndIsBegunAgain) {
  Begin();
  std::string damaged = bytes_;
  damaged[4096 + 3000] ^= 1;
  Put(path_, damaged);
  on_begun_ = [this] { EXPECT_TRUE(life_->Create(kSpec, "b").ok()); };
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  StepsToEnd(2);
  EXPECT_THAT(StepsToEnd(0), ElementsAre(RepairStep::kBegun, RepairStep::kPutOff,
                                         RepairStep::kBegun, RepairStep::kDone));
  EXPECT_TRUE((*life_->Get("b"))->has_end_time());
  EXPECT_EQ(*Read(), records_);
}

TEST_F(Healing, AJobThatIsDeletedMeanwhileDoesNotComeBack) {
  Begin();
  std::string damaged = bytes_;
  damaged[4096 + 3000] ^= 1;
  Put(path_, damaged);
  on_begun_ = [this] { EXPECT_TRUE(life_->Delete("a").ok()); };
  EXPECT_TRUE(absl::IsDataLoss(Read().status()));
  EXPECT_THAT(StepsToEnd(0), ElementsAre(RepairStep::kBegun, RepairStep::kPutOff));
  EXPECT_FALSE(disk_.Exists(path_).value());
  EXPECT_FALSE(disk_.Exists(path_ + ".new").value());
}

// What a kill leaves of a repair goes at the next start.
TEST_F(Healing, TheCopyOfARepairThatWasCutOffIsRemoved) {
  Begin();
  Put(path_ + ".new", bytes_);
  Restart();
  EXPECT_FALSE(disk_.Exists(path_ + ".new").value());
  EXPECT_EQ(*Read(), records_);
}

}  // namespace
}  // namespace polyak::jobs
