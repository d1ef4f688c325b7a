#include "server/storage/checkpoint_file.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/crc32c.h"
#include "tests/support/faulty_file_system.h"
#include "tests/unit/server/storage/checkpoint_support.h"

namespace polyak::storage {
namespace {

using ::polyak::testing_support::FaultyFileSystem;
using ::polyak::testing_support::Junk;
using ::polyak::testing_support::SimulatedDisk;
using ::testing::HasSubstr;

using Call = FaultyFileSystem::Call;
using Mode = base::FileSystem::Mode;

std::unique_ptr<base::File> OpenFile(base::FileSystem& files, Mode mode = Mode::kOverwrite) {
  auto file = files.Open("/jobs/a", mode);
  POLYAK_CHECK(file.ok());
  return *std::move(file);
}

TEST(CheckpointHeader, IsReadAsItWasWritten) {
  SimulatedDisk disk = DiskWithJobs();
  const auto file = OpenFile(disk);
  const CheckpointHead head = {"a-uid", 1234567890123, 3.25, "a build", "a processor", 0x1f80};
  const CheckpointPayload payload = {CheckpointHeaderSize(head), 5, 0xfedcba98};
  ASSERT_TRUE(file->Write(0, EncodeCheckpointHeader(head, payload) + "state").ok());
  const auto header = ReadCheckpointHeader(*file);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->head.uid, head.uid);
  EXPECT_EQ(header->head.iteration, head.iteration);
  EXPECT_EQ(header->head.elapsed_seconds, head.elapsed_seconds);
  EXPECT_EQ(header->head.build, head.build);
  EXPECT_EQ(header->head.processor, head.processor);
  EXPECT_EQ(header->head.float_control, head.float_control);
  EXPECT_EQ(header->payload.offset, payload.offset);
  EXPECT_EQ(header->payload.size, 5);
  EXPECT_EQ(header->payload.crc, 0xfedcba98);
}

TEST(CheckpointHeader, IsTheBytesOfItsFormatPage) {
  // docs/formats/checkpoint.md. A change here is a new version.
  const CheckpointHead head = {"u", 7, 0.5, "b", "p", 0x1f80};
  const std::string bytes = EncodeCheckpointHeader(head, {CheckpointHeaderSize(head), 3, 1});
  EXPECT_EQ(bytes.size(), 8U * 8 + 3 * 9 + 8);
  EXPECT_EQ(bytes.substr(0, 8), "POLKCKPT");
  EXPECT_EQ(base::Crc32c(bytes.substr(0, bytes.size() - 8)), 0xcd54e8b0U);
}

TEST(CheckpointHeader, KeepsTheLongestTextsWithinItsLimit) {
  SimulatedDisk disk = DiskWithJobs();
  const auto file = OpenFile(disk);
  const std::string text(255, 'x');
  const CheckpointHead head = {text, 0, 0, text, text, 0};
  ASSERT_TRUE(
      file->Write(0, EncodeCheckpointHeader(head, {CheckpointHeaderSize(head), 0, 0})).ok());
  EXPECT_EQ(ReadCheckpointHeader(*file)->head.processor, text);
}

TEST(FileSink, StreamsAnyPiecesToTheBytesAndCrcOfTheirJoin) {
  const std::string whole = Junk(1500000, 1);
  for (const size_t piece : {7U, 4096U, 262143U, 262144U, 262145U, 1500000U}) {
    SimulatedDisk disk = DiskWithJobs();
    const auto file = OpenFile(disk);
    FileSink sink(*file, 100);
    for (size_t done = 0; done < whole.size(); done += piece) {
      sink.Write(std::string_view{whole}.substr(done, piece));
    }
    ASSERT_TRUE(sink.Finish().ok());
    EXPECT_EQ(sink.payload().offset, 100);
    EXPECT_EQ(sink.payload().size, 1500000);
    EXPECT_EQ(sink.payload().crc, base::Crc32c(whole));
    EXPECT_EQ(Contents(disk, "/jobs/a").substr(100), whole);
  }
}

TEST(FileSink, WritesFewAndLargePiecesOfManySmallOnes) {
  SimulatedDisk disk = DiskWithJobs();
  FaultyFileSystem files(disk);
  const auto file = OpenFile(files);
  FileSink sink(*file, 0);
  for (int k = 0; k < 100000; ++k) {
    sink.WriteInt(k);  // 800 kB
  }
  ASSERT_TRUE(sink.Finish().ok());
  EXPECT_EQ(files.calls(Call::kWrite), 4);
}

TEST(FileSink, KeepsItsFirstErrorAndWritesNothingMore) {
  SimulatedDisk disk = DiskWithJobs();
  FaultyFileSystem files(disk);
  files.AddRule({Call::kWrite,
                 "",
                 2,
                 1,
                 {FaultyFileSystem::Fault::Action::kFail, absl::ResourceExhaustedError("full")}});
  const auto file = OpenFile(files);
  FileSink sink(*file, 0);
  sink.Write(Junk(2000000, 1));
  EXPECT_TRUE(absl::IsResourceExhausted(sink.Finish()));
  EXPECT_TRUE(absl::IsResourceExhausted(sink.Finish()));
  EXPECT_EQ(files.calls(Call::kWrite), 2);
}

// A file with a payload behind 16 bytes.
CheckpointPayload WritePayload(base::File& file, const std::string& payload) {
  FileSink sink(file, 16);
  sink.Write(payload);
  POLYAK_CHECK(sink.Finish().ok());
  return sink.payload();
}

TEST(FileSource, GivesThePayloadInAnyPieces) {
  const std::string whole = Junk(600000, 2);
  SimulatedDisk disk = DiskWithJobs();
  const CheckpointPayload payload = WritePayload(*OpenFile(disk), whole);
  for (const size_t piece : {8U, 1000U, 262144U, 262145U, 600000U}) {
    FileSource source(OpenFile(disk, Mode::kRead), payload);
    std::string read;
    while (!source.at_end()) {
      std::string part(std::min(piece, whole.size() - read.size()), '\0');
      source.Read(part);
      read += part;
    }
    EXPECT_TRUE(source.status().ok()) << source.status();
    EXPECT_EQ(read, whole);
  }
}

TEST(FileSource, EndsWithThePayloadAndNotWithTheFile) {
  SimulatedDisk disk = DiskWithJobs();
  const auto file = OpenFile(disk);
  const CheckpointPayload payload = WritePayload(*file, Junk(100, 2));
  ASSERT_TRUE(file->Write(116, "more").ok());
  FileSource source(OpenFile(disk, Mode::kRead), payload);
  std::string part(101, '\0');
  source.Read(part);
  EXPECT_TRUE(absl::IsDataLoss(source.status()));
}

TEST(FileSource, FailsAtTheLastByteOfAPayloadThatChangedSinceItWasVerified) {
  SimulatedDisk disk = DiskWithJobs();
  const auto file = OpenFile(disk);
  const CheckpointPayload payload = WritePayload(*file, Junk(600000, 2));
  ASSERT_TRUE(VerifyCheckpointPayload(*file, payload).ok());
  ASSERT_TRUE(file->Write(500000, "!").ok());
  FileSource source(OpenFile(disk, Mode::kRead), payload);
  std::string part(599999, '\0');
  source.Read(part);
  EXPECT_TRUE(source.status().ok());
  source.Read(std::span<char>(part).first(1));
  EXPECT_TRUE(absl::IsDataLoss(source.status()));
  EXPECT_THAT(std::string{source.status().message()}, HasSubstr("CRC has changed"));
}

TEST(FileSource, KeepsTheErrorOfADiskThatCanNotBeRead) {
  SimulatedDisk disk = DiskWithJobs();
  const CheckpointPayload payload = WritePayload(*OpenFile(disk), Junk(600000, 2));
  FaultyFileSystem files(disk);
  files.AddRule({Call::kRead, "", 2, 1, {}});
  FileSource source(OpenFile(files, Mode::kRead), payload);
  std::string part(600000, '\0');
  source.Read(part);
  EXPECT_TRUE(absl::IsUnavailable(source.status()));
  EXPECT_EQ(source.ReadInt(), 0);
}

TEST(VerifyCheckpointPayload, SeesAChangeAnywhereAndAnEarlyEnd) {
  SimulatedDisk disk = DiskWithJobs();
  const auto file = OpenFile(disk);
  const CheckpointPayload payload = WritePayload(*file, std::string(300000, 'a'));
  for (const int64_t place : {16, 17, 262159, 262160, 300015}) {
    ASSERT_TRUE(file->Write(place, "b").ok());
    EXPECT_TRUE(absl::IsDataLoss(VerifyCheckpointPayload(*file, payload))) << place;
    ASSERT_TRUE(file->Write(place, "a").ok());
    EXPECT_TRUE(VerifyCheckpointPayload(*file, payload).ok());
  }
  ASSERT_TRUE(file->Write(15, "b").ok());  // before it
  EXPECT_TRUE(VerifyCheckpointPayload(*file, payload).ok());
  ASSERT_TRUE(file->Truncate(300015).ok());
  EXPECT_TRUE(absl::IsDataLoss(VerifyCheckpointPayload(*file, payload)));
}

}  // namespace
}  // namespace polyak::storage
