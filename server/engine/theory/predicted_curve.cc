#include "server/engine/theory/predicted_curve.h"

#include <cmath>
#include <utility>

namespace polyak::engine {
namespace {

// From one of its multiples to the next the recursion goes; each of them is a power. So it does not
// matter where a reader begins.
constexpr int64_t kPowerInterval = 256;

// [[a, b], [c, d]], in extended precision: near a double root a power cancels more than the
// recursion does.
struct Block {
  long double a;
  long double b;
  long double c;
  long double d;
};

Block Multiply(const Block& x, const Block& y) {
  return {x.a * y.a + x.b * y.c, x.a * y.b + x.b * y.d, x.c * y.a + x.d * y.c,
          x.c * y.b + x.d * y.d};
}

Block Power(Block base, int64_t exponent) {
  Block result = {1, 0, 0, 1};
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 != 0) {
      result = Multiply(base, result);
    }
    base = Multiply(base, base);
  }
  return result;
}

}  // namespace

PredictedCurve::PredictedCurve(LinearizedStart start, const LinearMethod& method)
    : weights_(std::move(start.weights)) {
  const Eigen::ArrayXd z = method.step_size * start.eigenvalues.array();
  const double beta = method.momentum;
  if (method.gradient_weight == 0) {
    current_factor_ = 1 + beta - z;
    previous_factor_ = Vector::Constant(z.size(), beta);
    first_ = 1 - z;
  } else {
    current_factor_ = (1 + beta) * (1 - z);
    previous_factor_ = beta * (1 - z);
    first_ = 1 - (1 + beta) * z;
  }
  current_.resize(z.size());
  previous_.resize(z.size());
  Seek(0);
}

void PredictedCurve::Seek(int64_t iteration) {
  position_ = iteration - iteration % kPowerInterval;
  TakePower();
  while (position_ < iteration) {
    Step();
  }
}

void PredictedCurve::TakePower() {
  if (position_ == 0) {
    // c_{-1} such that the recursion gives c_1 is not needed: Step() starts it.
    current_ = Vector::Ones(weights_.size());
    previous_ = Vector::Zero(weights_.size());
    return;
  }
  for (Eigen::Index i = 0; i < weights_.size(); ++i) {
    // [c_t; c_{t-1}] = A^{t-1} [c_1; c_0]
    const Block power = Power({current_factor_(i), -previous_factor_(i), 1, 0}, position_ - 1);
    const long double first = first_(i);
    current_(i) = static_cast<double>(power.a * first + power.b);
    previous_(i) = static_cast<double>(power.c * first + power.d);
  }
}

void PredictedCurve::Step() {
  if (++position_ % kPowerInterval == 0) {
    TakePower();
  } else if (position_ == 1) {
    previous_ = current_;
    current_ = first_;
  } else {
    previous_ = current_factor_.cwiseProduct(current_) - previous_factor_.cwiseProduct(previous_);
    current_.swap(previous_);
  }
}

double PredictedCurve::Next() {
  const double norm = current_.cwiseProduct(weights_).norm();
  Step();
  return norm;
}

}  // namespace polyak::engine
