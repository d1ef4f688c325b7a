#include "server/telemetry/log.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::telemetry {
namespace {

using ::testing::HasSubstr;

TEST(Log, AnUnknownLevelIsRefusedWithTheList) {
  const auto logger = MakeLogger("loud");
  ASSERT_FALSE(logger.ok());
  EXPECT_THAT(std::string(logger.status().message()), HasSubstr("'loud'; accepted: trace, debug"));
}

TEST(Log, WritesOneLineAnEventToStandardError) {
  testing::internal::CaptureStderr();
  const auto logger = MakeLogger("info");
  ASSERT_TRUE(logger.ok());
  (*logger)->info("serving {}", "grpc");
  (*logger)->debug("not at this level");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("Z info serving grpc\n"));
  EXPECT_EQ(text.find("not at this level"), std::string::npos);
}

TEST(Log, TextFromAClientCannotForgeALine) {
  EXPECT_EQ(Escape("a\nb\x1b[31m\\"), "a\\x0ab\\x1b[31m\\x5c");
  EXPECT_EQ(Escape(std::string(300, 'x')).size(), 259u);
}

}  // namespace
}  // namespace polyak::telemetry
