#pragma once

#include <Eigen/Core>

namespace polyak::engine {

using Vector = Eigen::VectorXd;
using Matrix =
    Eigen::MatrixXd;  // column-major; the wire's matrices are row-major and converted when parsed

}  // namespace polyak::engine
