#include "server/storage/catalogue/copy_file.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {
namespace {

using Mode = base::FileSystem::Mode;

void Write(base::FileSystem& files, const std::string& path, const std::string& bytes) {
  const auto file = files.Open(path, Mode::kCreate).value();
  ASSERT_TRUE(file->Write(0, bytes).ok());
}

std::string Read(base::FileSystem& files, const std::string& path) {
  const auto file = files.Open(path, Mode::kRead).value();
  std::string bytes(static_cast<size_t>(file->Size().value()), '\0');
  EXPECT_EQ(file->Read(0, bytes).value(), static_cast<int64_t>(bytes.size()));
  return bytes;
}

TEST(CopyFile, TheCopyHasTheSameBytesAndLasts) {
  testing_support::SimulatedDisk disk;
  std::string bytes((size_t{2} << 20) + 5, 'a');  // three reads
  bytes[size_t{1} << 20] = 'b';
  Write(disk, "/from", bytes);
  ASSERT_TRUE(CopyFile(disk, "/from", "/to", Mode::kCreate).ok());
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  auto after = disk.CrashAt(disk.log_size());
  EXPECT_TRUE(Read(after, "/to") == bytes);
  EXPECT_EQ(Read(after, "/from"), "");  // nobody synced it
}

TEST(CopyFile, WhatIsThereIsReplacedOnlyInTheModeThatSaysSo) {
  testing_support::SimulatedDisk disk;
  Write(disk, "/from", "new");
  Write(disk, "/to", "longer and old");
  EXPECT_TRUE(absl::IsAlreadyExists(CopyFile(disk, "/from", "/to", Mode::kCreate)));
  EXPECT_EQ(Read(disk, "/to"), "longer and old");
  ASSERT_TRUE(CopyFile(disk, "/from", "/to", Mode::kOverwrite).ok());
  EXPECT_EQ(Read(disk, "/to"), "new");
  EXPECT_TRUE(absl::IsNotFound(CopyFile(disk, "/none", "/other", Mode::kCreate)));
  EXPECT_FALSE(disk.Exists("/other").value());
}

}  // namespace
}  // namespace polyak::storage
