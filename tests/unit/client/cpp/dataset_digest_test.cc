#include "client/cpp/dataset_digest.h"

#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::client {
namespace {

v1::DatasetHeader Sizes(int64_t examples, int64_t inputs, int64_t outputs) {
  v1::DatasetHeader header;
  header.set_examples(examples);
  header.set_input_dimension(inputs);
  header.set_output_dimension(outputs);
  return header;
}

// By Python: hashlib.sha256(struct.pack('<3q6d', 2, 2, 1, 1, 2, 3, 4, -1, 0.5)).hexdigest()
TEST(DatasetDigest, IsThatOfSizesAndValues) {
  const std::vector<double> values = {1, 2, 3, 4, -1, 0.5};
  EXPECT_EQ(DatasetDigest(Sizes(2, 2, 1), values),
            "10d955c4319c1fd132ff5880180631765c7e3fc03659378770f8786300cb70a6");
  EXPECT_NE(DatasetDigest(Sizes(2, 1, 2), values), DatasetDigest(Sizes(2, 2, 1), values));
}

TEST(DatasetDigest, SizesFitOnlyTheirOwnCount) {
  EXPECT_TRUE(SizesFit(Sizes(2, 2, 1), 6));
  EXPECT_FALSE(SizesFit(Sizes(2, 2, 1), 5));
  EXPECT_FALSE(SizesFit(Sizes(0, 2, 1), 0));
  EXPECT_FALSE(SizesFit(Sizes(2, -1, 4), 6));
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  EXPECT_FALSE(SizesFit(Sizes(kLargest, kLargest, kLargest), 6));
}

}  // namespace
}  // namespace polyak::client
