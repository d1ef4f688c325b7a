#pragma once

#include <vector>

// Slow, obvious second implementations. Nothing of server/ or client/ is included here.
namespace polyak::reference {

using Row = std::vector<long double>;
using Table = std::vector<Row>;  // table[i][j]: row i, column j

enum class MethodKind { kGradientDescent, kPolyak, kNesterov };

struct Method {
  MethodKind kind = MethodKind::kGradientDescent;
  long double step_size = 0;  // eta
  long double momentum = 0;   // beta; not read for gradient descent
};

// What is recorded of one iterate.
struct Record {
  long double loss = 0;
  long double residual_norm = 0;
};

// The points of a method, by the textbook definitions (two points, not a memory of gradients):
//   gradient descent  w_{t+1} = w_t - eta g(w_t)
//   Polyak            w_{t+1} = w_t - eta g(w_t) + beta (w_t - w_{t-1}),            w_{-1} = w_0
//   Nesterov          x_{t+1} = w_t - eta g(w_t), w_{t+1} = x_{t+1} + beta (x_{t+1} - x_t),  x_0 =
//   w_0
class Points {
 public:
  Points(const Method& method, Row initial_point);
  const Row& current() const { return current_; }  // w_t: where the gradient is taken
  void Step(const Row& gradient);                  // gradient: g(w_t)

 private:
  const Method method_;
  Row current_;
  Row other_;  // Polyak: w_{t-1}; Nesterov: x_t
};

}  // namespace polyak::reference
