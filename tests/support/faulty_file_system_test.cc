#include "tests/support/faulty_file_system.h"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/status_macros.h"
#include "tests/support/simulated_disk.h"

namespace polyak::testing_support {
namespace {

using Call = FaultyFileSystem::Call;
using Fault = FaultyFileSystem::Fault;
using Action = Fault::Action;
using Operation = FaultyFileSystem::Operation;
using Mode = base::FileSystem::Mode;
using testing::HasSubstr;

constexpr int64_t kAlways = FaultyFileSystem::kAlways;

std::string Get(base::FileSystem& files, const std::string& path) {
  const absl::StatusOr<std::unique_ptr<base::File>> file = files.Open(path, Mode::kRead);
  if (!file.ok()) {
    return "(none)";
  }
  std::string bytes(static_cast<size_t>((*file)->Size().value()), ' ');
  EXPECT_TRUE((*file)->Read(0, bytes).ok());
  return bytes;
}

class FaultyFileSystemTest : public testing::Test {
 protected:
  std::unique_ptr<base::File> Open(const std::string& path, Mode mode) {
    absl::StatusOr<std::unique_ptr<base::File>> file = files_.Open(path, mode);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }

  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
};

TEST_F(FaultyFileSystemTest, FailsTheNthMatchingCallAndNoOther) {
  const size_t rule = files_.AddRule({.call = Call::kWrite, .path = "b", .nth = 2});
  const auto a = Open("/a", Mode::kCreate);
  const auto b = Open("/b", Mode::kCreate);
  EXPECT_TRUE(a->Write(0, "1").ok());
  EXPECT_TRUE(b->Write(0, "1").ok());
  EXPECT_TRUE(a->Write(1, "2").ok());
  EXPECT_EQ(b->Write(1, "2"), absl::UnavailableError("planted fault"));
  EXPECT_TRUE(b->Write(1, "3").ok());
  EXPECT_TRUE(b->Sync().ok());
  EXPECT_EQ(Get(disk_, "/b"), "13");
  EXPECT_EQ(files_.matched(rule), 3);
  EXPECT_EQ(files_.fired(rule), 1);
}

TEST_F(FaultyFileSystemTest, FailsFromTheNthOnUntilTheRulesAreCleared) {
  files_.AddRule({.call = Call::kSync,
                  .nth = 2,
                  .times = kAlways,
                  .fault = {.status = absl::ResourceExhaustedError("full")}});
  const auto a = Open("/a", Mode::kCreate);
  EXPECT_TRUE(a->Sync().ok());
  for (int k = 0; k < 3; ++k) {
    EXPECT_EQ(a->Sync(), absl::ResourceExhaustedError("full"));
  }
  files_.ClearRules();
  EXPECT_TRUE(a->Sync().ok());
  EXPECT_EQ(files_.calls(Call::kSync), 5);
}

TEST_F(FaultyFileSystemTest, CanFailEveryKindOfCall) {
  ASSERT_TRUE(disk_.CreateDirectory("/d").ok());
  const auto a = Open("/a", Mode::kCreate);
  std::array<char, 1> out = {};
  const std::vector<std::pair<Call, std::function<absl::Status()>>> calls = {
      {Call::kOpen, [&] { return files_.Open("/a", Mode::kRead).status(); }},
      {Call::kRead, [&] { return a->Read(0, out).status(); }},
      {Call::kWrite, [&] { return a->Write(0, "x"); }},
      {Call::kSync, [&] { return a->Sync(); }},
      {Call::kTruncate, [&] { return a->Truncate(0); }},
      {Call::kSize, [&] { return a->Size().status(); }},
      {Call::kRename, [&] { return files_.Rename("/a", "/b"); }},
      {Call::kRemove, [&] { return files_.Remove("/b"); }},
      {Call::kSyncDirectory, [&] { return files_.SyncDirectory("/d"); }},
      {Call::kCreateDirectory, [&] { return files_.CreateDirectory("/d"); }},
      {Call::kList, [&] { return files_.List("/d").status(); }},
      {Call::kExists, [&] { return files_.Exists("/a").status(); }},
      {Call::kFreeBytes, [&] { return files_.FreeBytes("/d").status(); }}};
  ASSERT_EQ(calls.size(), FaultyFileSystem::kCallKinds);
  const size_t log_size = disk_.log_size();
  for (const auto& [kind, call] : calls) {
    files_.ClearRules();
    files_.AddRule({.call = kind, .path = ""});
    EXPECT_EQ(call(), absl::UnavailableError("planted fault")) << static_cast<int>(kind);
  }
  EXPECT_EQ(disk_.log_size(), log_size);
  files_.ClearRules();
  for (const auto& [kind, call] : calls) {
    EXPECT_TRUE(call().ok()) << static_cast<int>(kind);
  }
}

TEST_F(FaultyFileSystemTest, WritesAPartBeforeItFails) {
  files_.AddRule({.call = Call::kWrite, .fault = {.short_count = 3}});
  const auto a = Open("/a", Mode::kCreate);
  EXPECT_FALSE(a->Write(1, "12345").ok());
  EXPECT_EQ(Get(disk_, "/a"), std::string("\000123", 4));
}

TEST_F(FaultyFileSystemTest, ExecutesThenFails) {
  for (const Call call : {Call::kOpen, Call::kWrite, Call::kRename}) {
    files_.AddRule({.call = call, .fault = {.action = Action::kExecuteThenFail}});
  }
  EXPECT_FALSE(files_.Open("/a", Mode::kCreate).ok());
  EXPECT_FALSE(Open("/a", Mode::kUpdate)->Write(0, "text").ok());
  EXPECT_FALSE(files_.Rename("/a", "/b").ok());
  EXPECT_EQ(Get(disk_, "/b"), "text");
}

TEST_F(FaultyFileSystemTest, SwallowsACallAndAnswersOk) {
  const auto a = Open("/a", Mode::kCreate);
  const size_t log_size = disk_.log_size();
  for (const Call call : {Call::kWrite, Call::kSync, Call::kTruncate, Call::kRename, Call::kRemove,
                          Call::kSyncDirectory, Call::kCreateDirectory}) {
    files_.AddRule({.call = call, .fault = {.action = Action::kSwallow}});
  }
  EXPECT_TRUE(a->Write(0, "text").ok());
  EXPECT_TRUE(a->Sync().ok());
  EXPECT_TRUE(a->Truncate(9).ok());
  EXPECT_TRUE(files_.Rename("/a", "/b").ok());
  EXPECT_TRUE(files_.Remove("/a").ok());
  EXPECT_TRUE(files_.SyncDirectory("/").ok());
  EXPECT_TRUE(files_.CreateDirectory("/d").ok());
  EXPECT_EQ(disk_.log_size(), log_size);
}

TEST_F(FaultyFileSystemTest, MatchesBothPathsOfARename) {
  const auto a = Open("/a", Mode::kCreate);
  const size_t from = files_.AddRule({.call = Call::kRename, .path = "/a", .times = 0});
  const size_t to = files_.AddRule({.call = Call::kRename, .path = "/b", .times = 0});
  const size_t other = files_.AddRule({.call = Call::kRename, .path = "/c", .times = 0});
  EXPECT_TRUE(files_.Rename("/a", "/b").ok());
  EXPECT_EQ(files_.matched(from), 1);
  EXPECT_EQ(files_.matched(to), 1);
  EXPECT_EQ(files_.matched(other), 0);
  EXPECT_EQ(files_.fired(from), 0);
}

TEST_F(FaultyFileSystemTest, AsksTheHookFirstWithAllItNeeds) {
  std::vector<Operation> seen;
  files_.SetHook([&](const Operation& operation) -> std::optional<Fault> {
    seen.push_back(operation);
    if (operation.call == Call::kSync) {
      disk_.FailSync(operation.path, SimulatedDisk::Cached::kDropped);
      return Fault{.status = absl::UnavailableError("by the hook")};
    }
    return std::nullopt;
  });
  const auto a = Open("/a", Mode::kCreate);
  ASSERT_TRUE(a->Write(7, "text").ok());
  EXPECT_EQ(a->Sync(), absl::UnavailableError("by the hook"));
  EXPECT_EQ(Get(disk_, "/a"), "");
  ASSERT_TRUE(files_.Rename("/a", "/b").ok());
  files_.SetHook({});
  EXPECT_TRUE(a->Sync().ok());
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[0].mode, Mode::kCreate);
  EXPECT_EQ(seen[1].offset, 7);
  EXPECT_EQ(seen[1].size, 4);
  EXPECT_EQ(seen[1].path, "/a");
  EXPECT_EQ(seen[3].to, "/b");
}

TEST_F(FaultyFileSystemTest, IsFullOnceFilesGrewByTheLimit) {
  const auto a = Open("/a", Mode::kCreate);
  ASSERT_TRUE(a->Write(0, "12").ok());
  files_.SetFreeBytes(5);
  EXPECT_EQ(files_.FreeBytes("/").value(), 5);
  EXPECT_TRUE(a->Write(1, "xyz").ok());  // grows by 2
  EXPECT_EQ(files_.FreeBytes("/").value(), 3);
  const absl::Status status = a->Write(4, "12345");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(status.message(), "/a")) << status;
  EXPECT_EQ(Get(disk_, "/a"), "1xyz123");
  EXPECT_EQ(a->Write(7, "8").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(a->Truncate(8).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(a->Write(0, "over").ok());  // needs no room
  files_.SetFreeBytes(std::nullopt);
  EXPECT_TRUE(a->Write(7, "8").ok());
  EXPECT_EQ(Get(disk_, "/a"), "over1238");
}

TEST_F(FaultyFileSystemTest, TakesNoRoomForWhatItRefusesWhole) {
  const auto a = Open("/a", Mode::kCreate);
  files_.SetFreeBytes(3);
  EXPECT_EQ(a->Write(100, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(files_.FreeBytes("/").value(), 3);
  EXPECT_EQ(a->Truncate(100).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(files_.FreeBytes("/").value(), 3);
  EXPECT_TRUE(a->Truncate(3).ok());
  EXPECT_EQ(files_.FreeBytes("/").value(), 0);
}

TEST_F(FaultyFileSystemTest, HasRoomAgainAfterCuttingReplacingAndRemoving) {
  for (const char* const path : {"/a", "/b", "/c", "/d"}) {
    ASSERT_TRUE(Open(path, Mode::kCreate)->Write(0, "1234").ok());
  }
  files_.SetFreeBytes(0);
  ASSERT_TRUE(files_.Remove("/a").ok());
  EXPECT_EQ(files_.FreeBytes("/").value(), 4);
  ASSERT_TRUE(files_.Rename("/b", "/c").ok());
  EXPECT_EQ(files_.FreeBytes("/").value(), 8);
  ASSERT_TRUE(Open("/c", Mode::kUpdate)->Truncate(1).ok());
  EXPECT_EQ(files_.FreeBytes("/").value(), 11);
  ASSERT_TRUE(Open("/d", Mode::kOverwrite)->Write(0, "1").ok());
  EXPECT_EQ(files_.FreeBytes("/").value(), 14);
}

// A file replaced as it should be: written beside it, synced, renamed, and the directory synced.
absl::Status Replace(base::FileSystem& files, const std::string& text) {
  {
    POLYAK_ASSIGN_OR_RETURN(const std::unique_ptr<base::File> file,
                            files.Open("/d/a.tmp", Mode::kOverwrite));
    POLYAK_RETURN_IF_ERROR(file->Write(0, text));
    POLYAK_RETURN_IF_ERROR(file->Sync());
  }
  POLYAK_RETURN_IF_ERROR(files.Rename("/d/a.tmp", "/d/a"));
  return files.SyncDirectory("/d");
}

// Makes a directory and replaces a file in it three times, through `files`, which lies upon `disk`.
// Returns the first crash after which the last acknowledged text, or the next one, is not there;
// empty if there is none.
std::string FirstLoss(SimulatedDisk& disk, base::FileSystem& files,
                      const std::function<absl::Status(const std::string&)>& replace) {
  EXPECT_TRUE(files.CreateDirectory("/d").ok());
  EXPECT_TRUE(files.SyncDirectory("/").ok());
  const std::vector<std::string> texts = {"(none)", "first", "second one", "third"};
  std::vector<size_t> acknowledged = {disk.log_size()};  // size of the log at that moment
  for (size_t k = 1; k < texts.size(); ++k) {
    if (!replace(texts[k]).ok()) {
      break;
    }
    acknowledged.push_back(disk.log_size());
  }
  for (size_t prefix = 0; prefix <= disk.log_size(); ++prefix) {
    size_t last = 0;
    while (last + 1 < acknowledged.size() && acknowledged[last + 1] <= prefix) {
      ++last;
    }
    for (const CrashChoice& choice : disk.CrashChoices(prefix)) {
      SimulatedDisk crashed = disk.CrashAt(prefix, choice);
      const std::string found = Get(crashed, "/d/a");
      if (found != texts[last] && (last + 1 == texts.size() || found != texts[last + 1])) {
        return disk.Describe(prefix, choice);
      }
    }
  }
  return "";
}

class PlantedBug : public FaultyFileSystemTest {
 protected:
  std::string Loss() {
    return FirstLoss(disk_, files_, [&](const std::string& text) { return Replace(files_, text); });
  }
  void Swallow(Call call, const std::string& path) {
    files_.AddRule(
        {.call = call, .path = path, .times = kAlways, .fault = {.action = Action::kSwallow}});
  }
};

TEST_F(PlantedBug, NoneLosesNothing) { EXPECT_EQ(Loss(), ""); }

TEST_F(PlantedBug, NoSyncBeforeTheRenameIsCaught) {
  Swallow(Call::kSync, ".tmp");
  EXPECT_THAT(Loss(), HasSubstr("write /d/a.tmp 0+5: lost"));
}

TEST_F(PlantedBug, NoSyncOfTheDirectoryAfterTheRenameIsCaught) {
  Swallow(Call::kSyncDirectory, "/d");
  EXPECT_THAT(Loss(), HasSubstr("rename /d/a.tmp -> /d/a: lost"));
}

TEST_F(PlantedBug, NoSyncOfTheParentAfterACreationIsCaught) {
  files_.SetHook([](const Operation& operation) -> std::optional<Fault> {
    const bool parent = operation.call == Call::kSyncDirectory && operation.path == "/";
    return parent ? std::optional<Fault>({.action = Action::kSwallow}) : std::nullopt;
  });
  EXPECT_THAT(Loss(), HasSubstr("create directory /d: lost"));
}

TEST_F(PlantedBug, ASyncMadeAgainAfterItFailedIsCaught) {
  int64_t syncs = 0;
  files_.SetHook([&](const Operation& operation) -> std::optional<Fault> {
    if (operation.call != Call::kSync || ++syncs != 2) {
      return std::nullopt;
    }
    disk_.FailSync(operation.path, SimulatedDisk::Cached::kKept);
    return Fault{};
  });
  const auto replace_with_retry = [&](const std::string& text) -> absl::Status {
    POLYAK_ASSIGN_OR_RETURN(const std::unique_ptr<base::File> file,
                            files_.Open("/d/a.tmp", Mode::kOverwrite));
    POLYAK_RETURN_IF_ERROR(file->Write(0, text));
    if (!file->Sync().ok()) {
      POLYAK_RETURN_IF_ERROR(file->Sync());
    }
    POLYAK_RETURN_IF_ERROR(files_.Rename("/d/a.tmp", "/d/a"));
    return files_.SyncDirectory("/d");
  };
  EXPECT_THAT(FirstLoss(disk_, files_, replace_with_retry), HasSubstr("write /d/a.tmp 0+10: lost"));
}

}  // namespace
}  // namespace polyak::testing_support
