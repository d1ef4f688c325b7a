#include "server/engine/linalg/processor_class.h"

#include <Eigen/Core>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace polyak::engine {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(ProcessorClass, NamesWhatTheBitsDependOn) {
  EXPECT_THAT(ProcessorClass(), ContainsRegex("^[a-z0-9 +-]+, [A-Za-z0-9. ]+, caches "));
  EXPECT_THAT(ProcessorClass(),
              HasSubstr(absl::StrCat("caches ", Eigen::l1CacheSize() / 1024, " and ")));
  EXPECT_LE(ProcessorClass().size(), 255U);  // fits a checkpoint
  EXPECT_EQ(ProcessorClass(), ProcessorClass());
}

TEST(ProcessorClass, HasReasonToNameTheFirstCache) {
  // What a long sum of a matrix product is cut by: if this ever holds, the class says too much.
  const Eigen::Index inner = 2000;
  Eigen::MatrixXd a(60, inner);
  Eigen::MatrixXd b(inner, 60);
  for (Eigen::Index k = 0; k < a.size(); ++k) {
    a.data()[k] = std::sin(static_cast<double>(k));
    b.data()[k] = std::cos(static_cast<double>(3 * k));
  }
  const auto l1 = Eigen::l1CacheSize();
  const auto l2 = Eigen::l2CacheSize();
  const auto l3 = Eigen::l3CacheSize();
  Eigen::setCpuCacheSizes(32 << 10, l2, l3);
  const Eigen::MatrixXd small = a * b;
  Eigen::setCpuCacheSizes(48 << 10, l2, l3);
  const Eigen::MatrixXd large = a * b;
  // The second counts for less: no bit, here.
  Eigen::setCpuCacheSizes(48 << 10, 2 * l2, 2 * l3);
  const Eigen::MatrixXd other = a * b;
  Eigen::setCpuCacheSizes(l1, l2, l3);
  EXPECT_FALSE(small == large);
  EXPECT_TRUE(large == other);
}

#if defined(__x86_64__)
TEST(FloatControl, IsTheDefaultUnlessSomeoneChangedIt) {
  EXPECT_EQ(FloatControl(), 0x1f80);
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8000);  // flush subnormals to zero
  EXPECT_EQ(FloatControl(), 0x1f80 | 0x8000);
  _mm_setcsr(before);
  EXPECT_EQ(FloatControl(), 0x1f80);
}

TEST(FloatControl, LeavesOutTheFlagsOfWhatHappened) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x3f);
  EXPECT_EQ(FloatControl(), 0x1f80);
  _mm_setcsr(before);
}
#endif

}  // namespace
}  // namespace polyak::engine
