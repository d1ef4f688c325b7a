#include "server/spec/parse_values.h"

#include <cmath>

namespace polyak::spec {
namespace {

bool CheckFinite(const google::protobuf::RepeatedField<double>& values, const std::string& path,
                 Violations& violations) {
  bool finite = true;
  for (int k = 0; k < values.size(); ++k) {
    if (!std::isfinite(values[k])) {
      violations.Add(absl::StrCat(path, "[", k, "]"), Refusal(values[k], "a finite number"));
      finite = false;
    }
  }
  return finite;
}

}  // namespace

std::shared_ptr<const engine::Matrix> ParseMatrix(const v1::Matrix& message,
                                                  const ShapeLimits& limits,
                                                  const std::string& path, Violations& violations) {
  bool good = CheckRange(message.rows(), 1, limits.rows, path + ".rows", violations);
  good = CheckRange(message.cols(), 1, limits.cols, path + ".cols", violations) && good;
  // Both factors are at most 2^31 - 1, so the product fits.
  const int64_t count = static_cast<int64_t>(message.rows()) * message.cols();
  if (good && message.values_size() != count) {
    violations.Add(path + ".values", absl::StrCat("has ", message.values_size(),
                                                  " numbers; accepted: rows x cols = ", count));
    good = false;
  }
  if (!CheckFinite(message.values(), path + ".values", violations) || !good) {
    return nullptr;
  }
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return std::make_shared<const engine::Matrix>(
      Eigen::Map<const RowMajor>(message.values().data(), message.rows(), message.cols()));
}

std::shared_ptr<const engine::Vector> ParseVector(
    const google::protobuf::RepeatedField<double>& values, const std::string& path,
    Violations& violations) {
  if (!CheckFinite(values, path, violations)) {
    return nullptr;
  }
  return std::make_shared<const engine::Vector>(
      Eigen::Map<const engine::Vector>(values.data(), values.size()));
}

bool CheckRange(int64_t value, int64_t least, int64_t most, const std::string& path,
                Violations& violations) {
  if (value < least || value > most) {
    violations.Add(path, Refusal(value, absl::StrCat(least, " to ", most)));
    return false;
  }
  return true;
}

}  // namespace polyak::spec
