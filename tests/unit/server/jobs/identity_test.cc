#include "server/jobs/identity.h"

#include <regex>
#include <set>

#include "gtest/gtest.h"
#include "server/spec/parse_names.h"

namespace polyak::jobs {
namespace {

TEST(Identity, UidsAreVersionFourUuids) {
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int k = 0; k < 100; ++k) {
    const std::string uid = RandomUid();
    EXPECT_TRUE(std::regex_match(uid, uuid));
    EXPECT_TRUE(IsUid(uid));
  }
}

TEST(Identity, WhatIsNoUidNamesNoFile) {
  const std::string uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  ASSERT_TRUE(IsUid(uid));
  for (size_t k = 0; k < uid.size(); ++k) {
    for (const char c : {'/', '.', 'A', 'g', '\0', '\xff'}) {
      std::string damaged = uid;
      damaged[k] = c;
      EXPECT_FALSE(IsUid(damaged)) << damaged;
    }
    EXPECT_FALSE(IsUid(uid.substr(0, k)));
  }
  EXPECT_FALSE(IsUid(uid + "0"));
  EXPECT_FALSE(IsUid("../../../../../../../../../../etc/pw"));
}

TEST(Identity, IdsAreAcceptedAsJobIdsAndDoNotRepeat) {
  // 2^50 ids: the chance that 1,000 of them meet is 5e-10.
  std::set<std::string> ids;
  for (int k = 0; k < 1000; ++k) {
    const std::string id = RandomId();
    spec::Violations violations;
    spec::CheckJobId(id, violations);
    EXPECT_TRUE(violations.empty()) << id;
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
}

}  // namespace
}  // namespace polyak::jobs
