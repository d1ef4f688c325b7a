#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::testing_support {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Mode = base::FileSystem::Mode;

constexpr char kNone[] = "(none)";
constexpr CrashLimits kWhole = {.with_tears = false};

std::unique_ptr<base::File> Open(SimulatedDisk& disk, const std::string& path, Mode mode) {
  absl::StatusOr<std::unique_ptr<base::File>> file = disk.Open(path, mode);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

// What a file holds, or kNone.
std::string Get(SimulatedDisk& disk, const std::string& path) {
  const absl::StatusOr<std::unique_ptr<base::File>> file = disk.Open(path, Mode::kRead);
  if (!file.ok()) {
    return kNone;
  }
  std::string bytes(static_cast<size_t>((*file)->Size().value()), ' ');
  EXPECT_TRUE((*file)->Read(0, bytes).ok());
  return bytes;
}

// A file with durable data and a durable name in the root.
void PutDurably(SimulatedDisk& disk, const std::string& path, const std::string& bytes) {
  const auto file = Open(disk, path, Mode::kOverwrite);
  ASSERT_TRUE(file->Write(0, bytes).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
}

// What the paths may hold after a loss of power now, one text for all of them, joined by "|".
std::set<std::string> States(const SimulatedDisk& disk, const std::vector<std::string>& paths,
                             const CrashLimits& limits = kWhole) {
  std::set<std::string> states;
  for (const CrashChoice& choice : disk.CrashChoices(disk.log_size(), limits)) {
    SimulatedDisk crashed = disk.CrashAt(disk.log_size(), choice);
    std::string state;
    for (const std::string& path : paths) {
      absl::StrAppend(&state, path == paths.front() ? "" : "|", Get(crashed, path));
    }
    states.insert(state);
  }
  return states;
}

TEST(SimulatedDisk, KeepsAnySubsetOfUnsyncedWrites) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "....");
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(1, "bc").ok());
  ASSERT_TRUE(file->Write(4, "d").ok());
  EXPECT_EQ(Get(disk, "/a"), ".bc.d");
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre("....", ".bc.", "....d", ".bc.d"));
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_THAT(States(disk, {"/a"}), ElementsAre(".bc.d"));
}

TEST(SimulatedDisk, FillsTheGapOfALostWriteWithZeros) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "");
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(0, "bc").ok());
  ASSERT_TRUE(file->Write(2, "d").ok());
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre("", "bc", "\0\0d"s, "bcd"));
}

TEST(SimulatedDisk, KeepsATruncationOrNot) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "text");
  const auto file = Open(disk, "/a", Mode::kOverwrite);
  ASSERT_TRUE(file->Write(0, "N").ok());
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre("text", "", "Next", "N"));
}

TEST(SimulatedDisk, LosesAFileWhoseNameWasNotSyncedThoughItsDataWere) {
  SimulatedDisk disk;
  const auto file = Open(disk, "/a", Mode::kCreate);
  ASSERT_TRUE(file->Write(0, "text").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre(kNone, "text"));
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  EXPECT_THAT(States(disk, {"/a"}), ElementsAre("text"));
}

TEST(SimulatedDisk, KeepsANameWithoutTheDataThatWereNotSynced) {
  SimulatedDisk disk;
  const auto file = Open(disk, "/a", Mode::kCreate);
  ASSERT_TRUE(file->Write(0, "text").ok());
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre("", "text"));
}

TEST(SimulatedDisk, RenamesWithinADirectoryInOneStep) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "old");
  PutDurably(disk, "/b", "new");
  ASSERT_TRUE(disk.Rename("/b", "/a").ok());
  EXPECT_THAT(States(disk, {"/a", "/b"}), UnorderedElementsAre("old|new", "new|(none)"));
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  EXPECT_THAT(States(disk, {"/a", "/b"}), ElementsAre("new|(none)"));
}

TEST(SimulatedDisk, RenamesBetweenDirectoriesInTwo) {
  SimulatedDisk disk;
  ASSERT_TRUE(disk.CreateDirectory("/d").ok());
  PutDurably(disk, "/a", "text");
  ASSERT_TRUE(disk.Rename("/a", "/d/b").ok());
  EXPECT_THAT(States(disk, {"/a", "/d/b"}),
              UnorderedElementsAre("text|(none)", "text|text", "(none)|(none)", "(none)|text"));
  ASSERT_TRUE(disk.SyncDirectory("/d").ok());
  EXPECT_THAT(States(disk, {"/a", "/d/b"}), UnorderedElementsAre("text|text", "(none)|text"));
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  EXPECT_THAT(States(disk, {"/a", "/d/b"}), ElementsAre("(none)|text"));
}

TEST(SimulatedDisk, BringsBackWhatWasRemovedWithoutASyncOfTheDirectory) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "text");
  ASSERT_TRUE(disk.Remove("/a").ok());
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre("text", kNone));
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  EXPECT_THAT(States(disk, {"/a"}), ElementsAre(kNone));
}

TEST(SimulatedDisk, LosesAllInADirectoryWhoseNameWasNotSynced) {
  SimulatedDisk disk;
  ASSERT_TRUE(disk.CreateDirectory("/d").ok());
  const auto file = Open(disk, "/d/a", Mode::kCreate);
  ASSERT_TRUE(file->Write(0, "text").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncDirectory("/d").ok());
  EXPECT_THAT(States(disk, {"/d/a"}), UnorderedElementsAre("text", kNone));
  EXPECT_FALSE(disk.CrashAt(disk.log_size()).Exists("/d").value());
}

TEST(SimulatedDisk, CutsThePowerAfterEachOperation) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "1");  // create, write, sync, sync directory
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(0, "2").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_EQ(disk.log_size(), 6u);
  const char* const durable[] = {kNone, kNone, kNone, kNone, "1", "1", "2"};
  for (size_t prefix = 0; prefix <= 6; ++prefix) {
    SimulatedDisk crashed = disk.CrashAt(prefix);
    EXPECT_EQ(Get(crashed, "/a"), durable[prefix]) << disk.Describe(prefix, {});
  }
}

TEST(SimulatedDisk, LogsNothingThatFailsOrChangesNothing) {
  SimulatedDisk disk;
  ASSERT_TRUE(disk.CreateDirectory("/d").ok());
  const size_t size = disk.log_size();
  EXPECT_TRUE(disk.CreateDirectory("/d").ok());
  EXPECT_FALSE(disk.Remove("/a").ok());
  EXPECT_FALSE(disk.Open("/d/x/a", Mode::kCreate).ok());
  EXPECT_FALSE(disk.Rename("/a", "/b").ok());
  EXPECT_FALSE(disk.Exists("/a").value());
  EXPECT_EQ(disk.log_size(), size);
}

TEST(SimulatedDisk, TearsTheLastWriteAndTouchesNothingOutsideOfIt) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", std::string(6000, '.'));
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(0, "first").ok());
  ASSERT_TRUE(file->Write(500, std::string(5000, 'x')).ok());
  std::map<Tear::Rest, std::set<int64_t>> cuts;
  for (const CrashChoice& choice : disk.CrashChoices(disk.log_size())) {
    if (!choice.tear || choice.survivors.size() < 2) {
      continue;
    }
    SimulatedDisk crashed = disk.CrashAt(disk.log_size(), choice);
    const std::string bytes = Get(crashed, "/a");
    const auto cut = static_cast<size_t>(choice.tear->bytes);
    ASSERT_EQ(bytes.size(), 6000u);
    EXPECT_EQ(bytes.substr(0, 500), "first" + std::string(495, '.'));
    EXPECT_EQ(bytes.substr(500, cut), std::string(cut, 'x'));
    EXPECT_EQ(bytes.substr(5500), std::string(500, '.'));
    const std::string rest = bytes.substr(500 + cut, 5000 - cut);
    if (choice.tear->rest == Tear::Rest::kJunk) {
      EXPECT_NE(rest, std::string(rest.size(), 'x'));
    } else {
      const char fill = choice.tear->rest == Tear::Rest::kZeros ? '\0' : '.';
      EXPECT_EQ(rest, std::string(rest.size(), fill));
    }
    cuts[choice.tear->rest].insert(choice.tear->bytes);
  }
  EXPECT_THAT(cuts[Tear::Rest::kUnwritten], ElementsAre(1, 511, 512, 4095, 4096, 4999));
  EXPECT_THAT(cuts[Tear::Rest::kZeros], ElementsAre(0, 1, 511, 512, 4095, 4096, 4999));
  EXPECT_THAT(cuts[Tear::Rest::kJunk], ElementsAre(0, 1, 511, 512, 4095, 4096, 4999));
}

TEST(SimulatedDisk, TearsAnAppendShortOrAtFullLength) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "ab");
  ASSERT_TRUE(Open(disk, "/a", Mode::kUpdate)->Write(2, "cde").ok());
  const std::set<std::string> states = States(disk, {"/a"}, {});
  for (const std::string& state :
       {"ab"s, "abcde"s, "abc"s, "abcd"s, "ab\0\0\0"s, "abc\0\0"s, "abcd\0"s}) {
    EXPECT_EQ(states.count(state), 1u) << state;
  }
  EXPECT_GE(states.size(), 9u);  // and junk
}

// `count` unsynced appends of one byte.
void Append(SimulatedDisk& disk, int count) {
  const auto file = Open(disk, "/a", Mode::kUpdate);
  for (int k = 0; k < count; ++k) {
    ASSERT_TRUE(file->Write(k, std::string(1, static_cast<char>('a' + k))).ok());
  }
}

std::set<std::vector<size_t>> Survivors(const std::vector<CrashChoice>& choices) {
  std::set<std::vector<size_t>> survivors;
  for (const CrashChoice& choice : choices) {
    EXPECT_TRUE(survivors.insert(choice.survivors).second) << "twice";
  }
  return survivors;
}

TEST(CrashChoices, AreEverySubsetOfAFew) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "");
  Append(disk, 10);
  const auto choices = disk.CrashChoices(disk.log_size(), kWhole);
  EXPECT_EQ(Survivors(choices).size(), 1024u);
  EXPECT_THAT(choices[0].survivors, IsEmpty());
  EXPECT_EQ(choices[1].survivors, disk.Unsynced(disk.log_size()));
}

TEST(CrashChoices, AreNoneAllEachDroppedEachAloneAndRandomOnesOfMany) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "");
  Append(disk, 12);
  const std::vector<size_t> all = disk.Unsynced(disk.log_size());
  ASSERT_EQ(all.size(), 12u);
  const auto survivors = Survivors(disk.CrashChoices(disk.log_size(), kWhole));
  EXPECT_EQ(survivors.count({}), 1u);
  EXPECT_EQ(survivors.count(all), 1u);
  for (const size_t one : all) {
    std::vector<size_t> others = all;
    others.erase(std::find(others.begin(), others.end(), one));
    EXPECT_EQ(survivors.count({one}), 1u);
    EXPECT_EQ(survivors.count(others), 1u);
  }
  EXPECT_GT(survivors.size(), 2u + 24 + 55);
  EXPECT_LE(survivors.size(), 2u + 24 + 64);
}

TEST(CrashChoices, DependOnTheSeedAlone) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "");
  Append(disk, 12);
  const auto texts = [&](uint64_t seed) {
    std::vector<std::string> texts;
    for (const CrashChoice& choice : disk.CrashChoices(disk.log_size(), {.seed = seed})) {
      texts.push_back(disk.Describe(disk.log_size(), choice));
    }
    return texts;
  };
  EXPECT_EQ(texts(1), texts(1));
  EXPECT_NE(texts(1), texts(2));
}

TEST(CrashChoices, IsOneWhereAllIsSynced) {
  SimulatedDisk disk;
  EXPECT_EQ(disk.CrashChoices(0).size(), 1u);
  PutDurably(disk, "/a", "text");
  EXPECT_EQ(disk.CrashChoices(disk.log_size()).size(), 1u);
}

TEST(SimulatedDisk, LosesPowerAgainDuringTheRecovery) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "1");
  ASSERT_TRUE(Open(disk, "/a", Mode::kUpdate)->Write(1, "2").ok());
  const auto choices = disk.CrashChoices(disk.log_size(), kWhole);
  SimulatedDisk recovered = disk.CrashAt(disk.log_size(), choices[1]);
  EXPECT_EQ(Get(recovered, "/a"), "12");
  EXPECT_EQ(recovered.log_size(), 0u);
  ASSERT_TRUE(Open(recovered, "/a", Mode::kUpdate)->Truncate(0).ok());
  ASSERT_TRUE(Open(recovered, "/b", Mode::kCreate)->Sync().ok());
  EXPECT_THAT(States(recovered, {"/a", "/b"}),
              UnorderedElementsAre("12|(none)", "12|", "|(none)", "|"));
}

TEST(SimulatedDisk, StaysAsItIsWhenACopyLosesPower) {
  SimulatedDisk disk;
  const auto file = Open(disk, "/a", Mode::kCreate);
  ASSERT_TRUE(file->Write(0, "text").ok());
  SimulatedDisk crashed = disk.CrashAt(disk.log_size());
  PutDurably(crashed, "/a", "other");
  ASSERT_TRUE(file->Write(4, "!").ok());
  EXPECT_EQ(Get(disk, "/a"), "text!");
  EXPECT_EQ(Get(crashed, "/a"), "other");
}

TEST(SimulatedDisk, FilesOutliveTheDisk) {
  std::unique_ptr<base::File> file;
  {
    SimulatedDisk disk;
    file = Open(disk, "/a", Mode::kCreate);
  }
  EXPECT_TRUE(file->Write(0, "text").ok());
  EXPECT_EQ(file->Size().value(), 4);
}

TEST(SimulatedDisk, KeepsUnsafeWhatAFailedSyncDidNotMakeDurable) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "1");
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(1, "2").ok());
  disk.FailSync("/a", SimulatedDisk::Cached::kKept);
  EXPECT_EQ(Get(disk, "/a"), "12");
  ASSERT_TRUE(file->Write(2, "3").ok());
  ASSERT_TRUE(file->Sync().ok());  // says nothing about the "2"
  EXPECT_EQ(Get(disk, "/a"), "123");
  EXPECT_THAT(States(disk, {"/a"}), UnorderedElementsAre("123", "1\0003"s));
}

TEST(SimulatedDisk, DropsAtOnceWhatAFailedSyncMayDrop) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "1");
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(1, "2").ok());
  disk.FailSync("/a", SimulatedDisk::Cached::kDropped);
  EXPECT_EQ(Get(disk, "/a"), "1");
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_THAT(States(disk, {"/a"}), ElementsAre("1"));
  ASSERT_TRUE(file->Write(1, "3").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_THAT(States(disk, {"/a"}), ElementsAre("13"));
}

TEST(SimulatedDisk, DescribesACrashInWords) {
  SimulatedDisk disk;
  PutDurably(disk, "/a", "1");
  const auto file = Open(disk, "/a", Mode::kUpdate);
  ASSERT_TRUE(file->Write(1, "234").ok());
  ASSERT_TRUE(file->Truncate(2).ok());
  ASSERT_TRUE(disk.Rename("/a", "/b").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(disk.Describe(0), "create /a");
  EXPECT_EQ(disk.Describe(3), "sync directory /");
  EXPECT_EQ(disk.Describe(7, {.survivors = {4}, .tear = Tear{1, Tear::Rest::kZeros, 0}}),
            "power lost after 7 of 8 operations, the last of them: rename /a -> /b\n"
            "  4 write /a 1+3: survives, torn at 1, the rest zeros\n"
            "  5 truncate /a to 2: lost\n"
            "  6 rename /a -> /b: lost");
}

TEST(SimulatedDisk, IsSafeFromSeveralThreads) {
  SimulatedDisk disk;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&disk, thread] {
      const std::string path = absl::StrCat("/", thread);
      const auto file = Open(disk, path, Mode::kCreate);
      for (int k = 0; k < 200; ++k) {
        EXPECT_TRUE(file->Write(k, "x").ok());
        EXPECT_TRUE(file->Sync().ok());
        EXPECT_TRUE(disk.List("/").ok());
        EXPECT_TRUE(disk.CrashAt(disk.log_size()).List("/").ok());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(disk.log_size(), 4u * 401);
  EXPECT_EQ(Get(disk, "/3"), std::string(200, 'x'));
}

}  // namespace
}  // namespace polyak::testing_support
