// What base::FileSystem promises, of each of its implementations: the machine's disk, and the ones
// that tests put in its place. Tests with those are worth nothing if they behave differently.

#include "server/base/file_system.h"

#include <array>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/posix_file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/temporary_folder.h"

namespace polyak::conformance {
namespace {

using base::File;
using base::FileSystem;
using testing::ElementsAre;
using testing::IsEmpty;
using Mode = FileSystem::Mode;

// A file system, and a directory of it to work in.
class Place {
 public:
  virtual ~Place() = default;
  virtual FileSystem& files() = 0;
  virtual std::string path() const = 0;
};

class PosixPlace : public Place {
 public:
  FileSystem& files() override { return files_; }
  std::string path() const override { return folder_.path(); }

 private:
  const testing_support::TemporaryFolder folder_;
  base::PosixFileSystem files_;
};

class SimulatedPlace : public Place {
 public:
  SimulatedPlace() { EXPECT_TRUE(disk_.CreateDirectory("/data").ok()); }
  FileSystem& files() override { return disk_; }
  std::string path() const override { return "/data"; }

 private:
  testing_support::SimulatedDisk disk_;
};

// Without a rule, and with a limit that is never reached.
class FaultyPlace : public Place {
 public:
  FaultyPlace() { faulty_.SetFreeBytes(int64_t{1} << 30); }
  FileSystem& files() override { return faulty_; }
  std::string path() const override { return below_.path(); }

 private:
  SimulatedPlace below_;
  testing_support::FaultyFileSystem faulty_{below_.files()};
};

std::string ReadAll(const File& file) {
  std::string bytes(static_cast<size_t>(file.Size().value_or(0)), ' ');
  const absl::StatusOr<int64_t> count = file.Read(0, bytes);
  EXPECT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count.value_or(-1), static_cast<int64_t>(bytes.size()));
  return bytes;
}

template <typename PlaceType>
class EveryFileSystem : public testing::Test {
 protected:
  FileSystem& files() { return place_.files(); }
  std::string Path(const std::string& name) const { return place_.path() + "/" + name; }
  std::unique_ptr<File> Open(const std::string& name, Mode mode) {
    absl::StatusOr<std::unique_ptr<File>> file = files().Open(Path(name), mode);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }
  void Put(const std::string& name, std::string_view text) {
    const auto file = Open(name, Mode::kOverwrite);
    EXPECT_TRUE(file->Write(0, text).ok());
  }
  std::string Get(const std::string& name) { return ReadAll(*Open(name, Mode::kRead)); }
  absl::StatusCode OpenCode(const std::string& name, Mode mode) {
    return files().Open(Path(name), mode).status().code();
  }

 private:
  PlaceType place_;
};

using Places = testing::Types<PosixPlace, SimulatedPlace, FaultyPlace>;
struct PlaceNames {
  template <typename PlaceType>
  static std::string GetName(int) {
    return std::is_same_v<PlaceType, PosixPlace>       ? "Posix"
           : std::is_same_v<PlaceType, SimulatedPlace> ? "Simulated"
                                                       : "Faulty";
  }
};
TYPED_TEST_SUITE(EveryFileSystem, Places, PlaceNames);

TYPED_TEST(EveryFileSystem, OpensByModeWhatIsThereAndWhatIsNot) {
  EXPECT_EQ(this->OpenCode("a", Mode::kRead), absl::StatusCode::kNotFound);
  EXPECT_EQ(this->OpenCode("a", Mode::kUpdate), absl::StatusCode::kNotFound);
  EXPECT_TRUE(this->Open("a", Mode::kCreate)->Write(0, "text").ok());
  EXPECT_EQ(this->OpenCode("a", Mode::kCreate), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadAll(*this->Open("a", Mode::kUpdate)), "text");
  EXPECT_EQ(ReadAll(*this->Open("a", Mode::kRead)), "text");
  EXPECT_EQ(ReadAll(*this->Open("a", Mode::kOverwrite)), "");
  EXPECT_EQ(ReadAll(*this->Open("b", Mode::kOverwrite)), "");
  EXPECT_EQ(this->OpenCode("missing/a", Mode::kCreate), absl::StatusCode::kNotFound);
  EXPECT_EQ(this->OpenCode("a/b", Mode::kRead), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, OpensNoDirectoryAsAFile) {
  ASSERT_TRUE(this->files().CreateDirectory(this->Path("d")).ok());
  EXPECT_EQ(this->OpenCode("d", Mode::kRead), absl::StatusCode::kUnavailable);
  EXPECT_EQ(this->OpenCode("d", Mode::kUpdate), absl::StatusCode::kUnavailable);
  EXPECT_EQ(this->OpenCode("d", Mode::kOverwrite), absl::StatusCode::kUnavailable);
  EXPECT_EQ(this->OpenCode("d", Mode::kCreate), absl::StatusCode::kAlreadyExists);
}

TYPED_TEST(EveryFileSystem, ReadsFewerBytesOnlyAtTheEnd) {
  this->Put("a", "0123456789");
  const auto file = this->Open("a", Mode::kRead);
  std::array<char, 4> out = {};
  EXPECT_EQ(file->Read(3, out).value_or(-1), 4);
  EXPECT_EQ(std::string(out.begin(), out.end()), "3456");
  EXPECT_EQ(file->Read(8, out).value_or(-1), 2);
  EXPECT_EQ(std::string(out.begin(), out.end()), "8956");
  EXPECT_EQ(file->Read(10, out).value_or(-1), 0);
  EXPECT_EQ(file->Read(1000, out).value_or(-1), 0);
  EXPECT_EQ(file->Read(0, {}).value_or(-1), 0);
  EXPECT_EQ(file->Read(-1, out).status().code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, WritesOverInsideAndBeyondTheEnd) {
  const auto file = this->Open("a", Mode::kCreate);
  EXPECT_TRUE(file->Write(0, "0123456789").ok());
  EXPECT_TRUE(file->Write(2, "ab").ok());
  EXPECT_TRUE(file->Write(9, "cd").ok());
  EXPECT_TRUE(file->Write(13, "e").ok());
  EXPECT_TRUE(file->Write(100, "").ok());
  using namespace std::string_literals;
  EXPECT_EQ(ReadAll(*file), "01ab45678cd\0\0e"s);
  EXPECT_EQ(file->Size().value_or(-1), 14);
  EXPECT_EQ(file->Write(-1, "a").code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, TruncatesAndGrowsWithZeros) {
  const auto file = this->Open("a", Mode::kCreate);
  EXPECT_TRUE(file->Write(0, "0123456789").ok());
  EXPECT_TRUE(file->Truncate(3).ok());
  EXPECT_EQ(ReadAll(*file), "012");
  EXPECT_TRUE(file->Truncate(5).ok());
  EXPECT_EQ(ReadAll(*file), std::string("012\0\0", 5));
  EXPECT_EQ(file->Truncate(-1).code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, ChangesNothingThroughAFileOpenedForReading) {
  this->Put("a", "text");
  const auto file = this->Open("a", Mode::kRead);
  EXPECT_EQ(file->Write(0, "b").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(file->Truncate(0).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(this->Get("a"), "text");
}

TYPED_TEST(EveryFileSystem, ShowsWhatOneFileWroteToAnotherAtOnce) {
  const auto writer = this->Open("a", Mode::kCreate);
  const auto reader = this->Open("a", Mode::kRead);
  EXPECT_TRUE(writer->Write(0, "text").ok());
  EXPECT_EQ(ReadAll(*reader), "text");
  EXPECT_TRUE(writer->Sync().ok());
  EXPECT_EQ(ReadAll(*reader), "text");
}

TYPED_TEST(EveryFileSystem, RenameReplacesAndOpenFilesStayWhatTheyAre) {
  this->Put("old", "old");
  this->Put("new", "new");
  const auto replaced = this->Open("old", Mode::kUpdate);
  const auto moved = this->Open("new", Mode::kUpdate);
  ASSERT_TRUE(this->files().Rename(this->Path("new"), this->Path("old")).ok());
  EXPECT_EQ(this->Get("old"), "new");
  EXPECT_FALSE(this->files().Exists(this->Path("new")).value_or(true));
  EXPECT_EQ(ReadAll(*replaced), "old");
  EXPECT_TRUE(moved->Write(3, "er").ok());
  EXPECT_TRUE(replaced->Write(0, "lost").ok());
  EXPECT_EQ(this->Get("old"), "newer");
}

TYPED_TEST(EveryFileSystem, RenameMovesBetweenDirectories) {
  ASSERT_TRUE(this->files().CreateDirectory(this->Path("d")).ok());
  this->Put("a", "text");
  ASSERT_TRUE(this->files().Rename(this->Path("a"), this->Path("d/b")).ok());
  EXPECT_EQ(this->Get("d/b"), "text");
  EXPECT_THAT(*this->files().List(this->Path("")), ElementsAre("d"));
  ASSERT_TRUE(this->files().Rename(this->Path("d"), this->Path("e")).ok());
  EXPECT_EQ(this->Get("e/b"), "text");
}

TYPED_TEST(EveryFileSystem, RenameRefusesWhatCannotBe) {
  FileSystem& files = this->files();
  ASSERT_TRUE(files.CreateDirectory(this->Path("d")).ok());
  this->Put("d/inside", "");
  this->Put("a", "text");
  const auto code = [&](const std::string& from, const std::string& to) {
    return files.Rename(this->Path(from), this->Path(to)).code();
  };
  EXPECT_EQ(code("missing", "b"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code("a", "missing/b"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code("a", "d"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code("d", "a"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code("d", "d/e"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code("a", "a"), absl::StatusCode::kOk);
  EXPECT_EQ(this->Get("a"), "text");
}

TYPED_TEST(EveryFileSystem, RemoveTakesTheNameAndLeavesOpenFiles) {
  this->Put("a", "text");
  const auto file = this->Open("a", Mode::kUpdate);
  ASSERT_TRUE(this->files().Remove(this->Path("a")).ok());
  EXPECT_EQ(this->OpenCode("a", Mode::kRead), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadAll(*file), "text");
  EXPECT_TRUE(file->Write(4, "!").ok());
  EXPECT_TRUE(file->Sync().ok());
  this->Put("a", "other");
  EXPECT_EQ(ReadAll(*file), "text!");
  ASSERT_TRUE(this->files().Remove(this->Path("a")).ok());
  EXPECT_EQ(this->files().Remove(this->Path("a")).code(), absl::StatusCode::kNotFound);
}

TYPED_TEST(EveryFileSystem, RemovesNoDirectory) {
  ASSERT_TRUE(this->files().CreateDirectory(this->Path("d")).ok());
  EXPECT_EQ(this->files().Remove(this->Path("d")).code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, CreatesADirectoryOnceAndTwiceIsNoError) {
  FileSystem& files = this->files();
  EXPECT_EQ(files.CreateDirectory(this->Path("d/e")).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(files.CreateDirectory(this->Path("d")).ok());
  EXPECT_TRUE(files.CreateDirectory(this->Path("d/e")).ok());
  EXPECT_TRUE(files.CreateDirectory(this->Path("d")).ok());
  EXPECT_THAT(*files.List(this->Path("d")), ElementsAre("e"));
  this->Put("a", "");
  EXPECT_EQ(files.CreateDirectory(this->Path("a")).code(), absl::StatusCode::kAlreadyExists);
}

TYPED_TEST(EveryFileSystem, ListsNamesInOrder) {
  FileSystem& files = this->files();
  EXPECT_THAT(*files.List(this->Path("")), IsEmpty());
  for (const char* const name : {"b", "B", "a1", "a"}) {
    this->Put(name, "");
  }
  ASSERT_TRUE(files.CreateDirectory(this->Path("aa")).ok());
  EXPECT_THAT(*files.List(this->Path("")), ElementsAre("B", "a", "a1", "aa", "b"));
  EXPECT_EQ(files.List(this->Path("missing")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(files.List(this->Path("a")).status().code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, KnowsWhatExists) {
  FileSystem& files = this->files();
  ASSERT_TRUE(files.CreateDirectory(this->Path("d")).ok());
  this->Put("a", "");
  EXPECT_TRUE(files.Exists(this->Path("a")).value_or(false));
  EXPECT_TRUE(files.Exists(this->Path("d")).value_or(false));
  EXPECT_FALSE(files.Exists(this->Path("b")).value_or(true));
  EXPECT_FALSE(files.Exists(this->Path("b/c")).value_or(true));
  EXPECT_EQ(files.Exists(this->Path("a/c")).status().code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, SyncsDirectoriesAndNothingElse) {
  FileSystem& files = this->files();
  this->Put("a", "");
  EXPECT_TRUE(files.SyncDirectory(this->Path("")).ok());
  EXPECT_EQ(files.SyncDirectory(this->Path("missing")).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(files.SyncDirectory(this->Path("a")).code(), absl::StatusCode::kUnavailable);
}

TYPED_TEST(EveryFileSystem, HasRoomInADirectoryThatExists) {
  EXPECT_GT(this->files().FreeBytes(this->Path("")).value_or(0), 0);
  EXPECT_EQ(this->files().FreeBytes(this->Path("missing")).status().code(),
            absl::StatusCode::kNotFound);
}

// Does one random thing after another, and keeps the answers as text.
class RandomCalls {
 public:
  RandomCalls(Place& place, uint64_t seed) : place_(place), random_(seed) {
    EXPECT_TRUE(files().CreateDirectory(Path("d")).ok());
  }

  std::string Next() {
    const size_t draw = Draw(16);
    if (draw < 7) {
      return OnFile();
    }
    if (draw < 10) {
      return Open();
    }
    switch (draw) {
      case 10:
        return "close " + std::to_string(Close());
      case 11:
        return Rename();
      case 12:
        return List(DirectoryName());
      case 13:
        return OnDirectory(DirectoryName());
      case 14:
        return Exists(Name());
      default:
        return Remove(Name());
    }
  }

  // Everything below a directory: names, and what files hold.
  std::string Tree(const std::string& name = "") {
    std::string text;
    const std::vector<std::string> entries = files().List(Path(name)).value();
    for (const std::string& entry : entries) {
      const std::string path = name.empty() ? entry : absl::StrCat(name, "/", entry);
      const absl::StatusOr<std::unique_ptr<File>> file = files().Open(Path(path), Mode::kRead);
      text += file.ok() ? absl::StrCat(path, "=", ReadAll(**file), "\n")
                        : absl::StrCat(path, "/\n", Tree(path));
    }
    return text;
  }

 private:
  static constexpr size_t kFiles = 3;

  FileSystem& files() { return place_.files(); }
  std::string Path(const std::string& name) const {
    return name.empty() ? place_.path() : place_.path() + "/" + name;
  }
  size_t Draw(size_t below) { return static_cast<size_t>(random_() % below); }
  // Mostly what may well be a file.
  std::string Name() {
    static constexpr const char* kLikely[] = {"a", "b", "d/a", "d/b"};
    static constexpr const char* kOthers[] = {"",    "c",   "d",   "e",     "d/e",
                                              "e/a", "e/d", "a/b", "d/e/a", "missing/a"};
    return Draw(4) > 0 ? kLikely[Draw(std::size(kLikely))] : kOthers[Draw(std::size(kOthers))];
  }
  std::string DirectoryName() {
    static constexpr const char* kNames[] = {"", "d", "d", "e", "d/e", "a", "missing/d"};
    return kNames[Draw(std::size(kNames))];
  }
  static std::string Answer(const std::string& call, const absl::Status& status) {
    return absl::StrCat(call, ": ", absl::StatusCodeToString(status.code()));
  }

  std::string Open() {
    static constexpr Mode kModes[] = {Mode::kRead, Mode::kUpdate, Mode::kCreate, Mode::kOverwrite};
    const size_t mode = Draw(4);
    const size_t slot = Draw(kFiles);
    const std::string name = Name();
    absl::StatusOr<std::unique_ptr<File>> file = files().Open(Path(name), kModes[mode]);
    const absl::Status status = file.status();
    if (file.ok()) {
      open_[slot] = *std::move(file);
    }
    return Answer(absl::StrCat("open ", name, " by mode ", mode), status);
  }

  size_t Close() {
    const size_t slot = Draw(kFiles);
    open_[slot].reset();
    return slot;
  }

  std::string OnFile() {
    const size_t slot = Draw(kFiles);
    const size_t what = Draw(12);
    const auto offset = static_cast<int64_t>(Draw(40));
    const std::string data(Draw(30), static_cast<char>('a' + Draw(26)));
    if (!open_[slot]) {
      return "nothing open";
    }
    File& file = *open_[slot];
    switch (what) {
      case 0:
        return Answer("sync", file.Sync());
      case 1:
      case 2:
        return Answer("truncate", file.Truncate(offset));
      case 3:
      case 4:
        return "whole " + ReadAll(file);
      case 5:
      case 6: {
        std::string out(data.size(), ' ');
        const absl::StatusOr<int64_t> count = file.Read(offset, out);
        return Answer(absl::StrCat("read ", count.value_or(-1), " ", out), count.status());
      }
      default:
        return Answer("write", file.Write(offset, data));
    }
  }

  std::string OnDirectory(const std::string& name) {
    return Draw(4) > 0 ? Answer("create directory " + name, files().CreateDirectory(Path(name)))
                       : Answer("sync directory " + name, files().SyncDirectory(Path(name)));
  }

  std::string Remove(const std::string& name) {
    return Answer("remove " + name, files().Remove(Path(name)));
  }

  std::string Exists(const std::string& name) {
    const absl::StatusOr<bool> exists = files().Exists(Path(name));
    return Answer(absl::StrCat("exists ", name, " ", exists.value_or(false)), exists.status());
  }

  std::string Rename() {
    const std::string from = Name();
    const std::string to = Name();
    return Answer("rename " + from + " to " + to, files().Rename(Path(from), Path(to)));
  }

  std::string List(const std::string& name) {
    const absl::StatusOr<std::vector<std::string>> names = files().List(Path(name));
    std::string text = "list " + name;
    for (const std::string& entry : names.value_or(std::vector<std::string>{})) {
      text += " " + entry;
    }
    return Answer(text, names.status());
  }

  Place& place_;
  std::mt19937_64 random_;
  std::array<std::unique_ptr<File>, kFiles> open_;
};

TEST(FileSystems, AnswerRandomCallsAlike) {
  constexpr uint64_t kSequences = 80;
  constexpr int kCalls = 200;
  for (uint64_t seed = 1; seed <= kSequences; ++seed) {
    PosixPlace machine;
    SimulatedPlace disk;
    FaultyPlace faulty;
    RandomCalls on_machine(machine, seed);
    RandomCalls on_disk(disk, seed);
    RandomCalls on_faulty(faulty, seed);
    for (int call = 0; call < kCalls; ++call) {
      const std::string answer = on_machine.Next();
      ASSERT_EQ(on_disk.Next(), answer) << "call " << call << " of seed " << seed;
      ASSERT_EQ(on_faulty.Next(), answer) << "call " << call << " of seed " << seed;
    }
    const std::string tree = on_machine.Tree();
    ASSERT_EQ(on_disk.Tree(), tree) << "seed " << seed;
    ASSERT_EQ(on_faulty.Tree(), tree) << "seed " << seed;
  }
}

}  // namespace
}  // namespace polyak::conformance
