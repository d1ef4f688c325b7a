#include "server/spec/parse_names.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::spec {
namespace {

using ::testing::HasSubstr;

TEST(IsJobId, IsLowerCaseLettersDigitsAndInnerHyphensUpToSixtyThree) {
  for (const std::string& id : {std::string("a"), std::string("a1"), std::string("job-7x"),
                                std::string("a--b"), std::string(63, 'z')}) {
    EXPECT_TRUE(IsJobId(id)) << id;
  }
  for (const std::string& id :
       {std::string(), std::string("1a"), std::string("-a"), std::string("a-"), std::string("A"),
        std::string("aB"), std::string("a_b"), std::string("a.b"), std::string("a/b"),
        std::string("a b"), std::string("\xC3\xA9t\xC3\xA9"), std::string("a\0b", 3),
        std::string(64, 'z')}) {
    EXPECT_FALSE(IsJobId(id)) << id;
  }
}

TEST(CheckJobName, NeedsTheCollectionBeforeTheId) {
  Violations violations;
  EXPECT_TRUE(CheckJobName(JobName("a"), violations));
  EXPECT_TRUE(violations.empty());
  for (const char* name : {"", "a", "trainingJobs/", "trainingJobs/A", "jobs/a", "trainingJobs/a/b",
                           "/trainingJobs/a"}) {
    Violations refused;
    EXPECT_FALSE(CheckJobName(name, refused)) << name;
    ASSERT_EQ(refused.count(), 1) << name;
    EXPECT_EQ(refused.kept()[0].field, "name");
    EXPECT_THAT(refused.kept()[0].description, HasSubstr("accepted: trainingJobs/{id}"));
  }
}

TEST(CheckDatasetName, NeedsTheCollectionBeforeTheId) {
  Violations violations;
  for (const std::string name : {"datasets/wine", "datasets/0-9a", "datasets/-"}) {
    EXPECT_TRUE(CheckDatasetName(name, violations)) << name;
  }
  EXPECT_TRUE(violations.empty());
  for (const std::string& name :
       {std::string(), std::string("wine"), std::string("datasets/"), std::string("datasets/A"),
        std::string("datasets/a/b"), "datasets/" + std::string(64, 'a')}) {
    Violations refused;
    EXPECT_FALSE(CheckDatasetName(name, refused)) << name;
    ASSERT_EQ(refused.count(), 1) << name;
    EXPECT_THAT(refused.kept()[0].description, HasSubstr("accepted: datasets/{id}"));
  }
}

TEST(CheckJobId, AnEmptyOneIsLeftToTheServer) {
  Violations violations;
  CheckJobId("", violations);
  CheckJobId("good-1", violations);
  EXPECT_TRUE(violations.empty());
  CheckJobId("Bad", violations);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_EQ(violations.kept()[0].field, "training_job_id");
  EXPECT_THAT(violations.kept()[0].description,
              HasSubstr("is 'Bad'; accepted: [a-z]([a-z0-9-]{0,61}[a-z0-9])?"));
}

TEST(CheckRequestId, IsUpToSixtyFourPrintableCharacters) {
  Violations violations;
  for (const std::string& id :
       {std::string(), std::string("x"), std::string("A-9_{}~!"), std::string(64, 'r')}) {
    CheckRequestId(id, violations);
  }
  EXPECT_TRUE(violations.empty());
  for (const std::string& id : {std::string(65, 'r'), std::string("a\nb"), std::string("a\x7f"),
                                std::string("\xC3\xA9"), std::string("a\0", 2)}) {
    Violations refused;
    CheckRequestId(id, refused);
    ASSERT_EQ(refused.count(), 1);
    EXPECT_EQ(refused.kept()[0].field, "request_id");
    EXPECT_THAT(refused.kept()[0].description, HasSubstr("accepted: 1 to 64 printable"));
  }
}

TEST(CheckDisplayName, HasUpTo256Bytes) {
  Violations violations;
  CheckDisplayName(std::string(256, 'x'), violations);
  EXPECT_TRUE(violations.empty());
  CheckDisplayName(std::string(257, 'x'), violations);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_EQ(violations.kept()[0].field, "display_name");
  EXPECT_EQ(violations.kept()[0].description, "has 257 bytes; accepted: up to 256");
}

Violations OfLabels(const std::map<std::string, std::string>& labels) {
  Violations violations;
  CheckLabels({labels.begin(), labels.end()}, violations);
  return violations;
}

TEST(CheckLabels, KeysAreNamesAndValuesShort) {
  EXPECT_TRUE(
      OfLabels({{"a", ""}, {"a_b-9", std::string(256, 'v')}, {std::string(63, 'k'), "x"}}).empty());
  for (const std::string& key : {std::string(), std::string("A"), std::string("9a"),
                                 std::string("a.b"), std::string(64, 'k')}) {
    const Violations refused = OfLabels({{key, "x"}});
    ASSERT_EQ(refused.count(), 1) << key;
    EXPECT_EQ(refused.kept()[0].field, "labels");
    EXPECT_THAT(refused.kept()[0].description, HasSubstr("accepted: [a-z][a-z0-9_-]{0,62}"));
  }
  const Violations refused = OfLabels({{"a", std::string(257, 'v')}});
  ASSERT_EQ(refused.count(), 1);
  EXPECT_EQ(refused.kept()[0].field, "labels[a]");
  EXPECT_EQ(refused.kept()[0].description, "has 257 bytes; accepted: up to 256");
}

TEST(CheckLabels, ThereAreUpToSixtyFour) {
  std::map<std::string, std::string> labels;
  for (int k = 0; k < 64; ++k) {
    labels.emplace(absl::StrCat("k", k), "v");
  }
  EXPECT_TRUE(OfLabels(labels).empty());
  labels.emplace("one-more", "v");
  const Violations refused = OfLabels(labels);
  ASSERT_EQ(refused.count(), 1);
  EXPECT_EQ(refused.kept()[0].description, "has 65 labels; accepted: up to 64");
}

TEST(CheckLabels, ABadKeyIsCutWhereverItIsNamed) {
  const Violations refused = OfLabels({{std::string(5000, 'K'), std::string(300, 'v')}});
  ASSERT_EQ(refused.count(), 2);
  for (const Violation& violation : refused.kept()) {
    EXPECT_LT(violation.field.size() + violation.description.size(), 300u);
  }
}

// So that the same request is refused with the same text.
TEST(CheckLabels, RefusalsComeInTheOrderOfTheKeys) {
  const Violations refused = OfLabels({{"C", ""}, {"A", ""}, {"B", ""}, {"D", ""}});
  ASSERT_EQ(refused.count(), 4);
  for (int k = 0; k < 4; ++k) {
    EXPECT_THAT(refused.kept()[static_cast<size_t>(k)].description,
                HasSubstr(std::string("'") + static_cast<char>('A' + k) + "'"));
  }
}

}  // namespace
}  // namespace polyak::spec
