#include "tests/reference/relu_network.h"

#include <cmath>
#include <cstddef>

namespace polyak::reference {

std::vector<Record> TrainReluNetwork(const ReluNetwork& network, const Method& method,
                                     int64_t iterations) {
  const size_t examples = network.features.size();
  const size_t dimension = network.features[0].size();
  const size_t width = network.hidden_weights.size();
  const long double scale = 1 / std::sqrt(static_cast<long double>(width));
  Row start;
  for (const Row& neuron : network.hidden_weights) {
    start.insert(start.end(), neuron.begin(), neuron.end());
  }
  Points points(method, start);
  std::vector<Record> records;
  for (int64_t t = 0; t <= iterations; ++t) {
    const Row& w = points.current();
    Row gradient(w.size(), 0);
    long double squared_norm = 0;
    for (size_t i = 0; i < examples; ++i) {
      const Row& x = network.features[i];
      Row activations(width, 0);
      long double output = 0;
      for (size_t r = 0; r < width; ++r) {
        for (size_t j = 0; j < dimension; ++j) {
          activations[r] += w[r * dimension + j] * x[j];
        }
        if (activations[r] > 0) {
          output += scale * network.output_weights[r] * activations[r];
        }
      }
      const long double residual = output - network.targets[i];
      squared_norm += residual * residual;
      for (size_t r = 0; r < width; ++r) {
        if (activations[r] > 0) {
          for (size_t j = 0; j < dimension; ++j) {
            gradient[r * dimension + j] += residual * scale * network.output_weights[r] * x[j];
          }
        }
      }
    }
    records.push_back({squared_norm / 2, std::sqrt(squared_norm)});
    points.Step(gradient);
  }
  return records;
}

}  // namespace polyak::reference
