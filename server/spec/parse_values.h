#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "google/protobuf/repeated_field.h"
#include "polyak/v1/problem.pb.h"
#include "server/engine/linalg/types.h"
#include "server/spec/violations.h"

namespace polyak::spec {

struct ShapeLimits {
  int64_t rows = 0;
  int64_t cols = 0;
};

// A matrix with sizes in 1 .. limits, as many values as its shape says, all finite. Null, with
// violations, if not.
//   path: of the matrix, "spec.quadratic.matrix".
std::shared_ptr<const engine::Matrix> ParseMatrix(const v1::Matrix& message,
                                                  const ShapeLimits& limits,
                                                  const std::string& path, Violations& violations);

// Numbers that are all finite. Null, with violations, if not.
std::shared_ptr<const engine::Vector> ParseVector(
    const google::protobuf::RepeatedField<double>& values, const std::string& path,
    Violations& violations);

// Adds a violation unless least <= value <= most.
bool CheckRange(int64_t value, int64_t least, int64_t most, const std::string& path,
                Violations& violations);

}  // namespace polyak::spec
