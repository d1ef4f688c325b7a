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
    EXPECT_TRUE(std::regex_match(RandomUid(), uuid));
  }
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
