#include "tests/reference/deep_linear_network.h"

#include <cmath>
#include <cstddef>

namespace polyak::reference {
namespace {

long double Dot(const Row& a, const Row& b) {
  long double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

Row Column(const Table& table, size_t j) {
  Row column;
  for (const Row& row : table) {
    column.push_back(row[j]);
  }
  return column;
}

void Subtract(Row& a, long double factor, const Row& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] -= factor * b[i];
  }
}

// An orthonormal basis of the span of the columns of `table`, by Gram and Schmidt, each column
// cleaned twice; what is left of a dependent column is rounding and dropped.
Table BasisOfColumns(const Table& table) {
  Table basis;
  for (size_t j = 0; j < table[0].size(); ++j) {
    Row column = Column(table, j);
    const long double before = std::sqrt(Dot(column, column));
    for (int pass = 0; pass < 2; ++pass) {
      for (const Row& direction : basis) {
        Subtract(column, Dot(column, direction), direction);
      }
    }
    const long double after = std::sqrt(Dot(column, column));
    if (after > 1e-12L * before) {
      for (long double& value : column) {
        value /= after;
      }
      basis.push_back(column);
    }
  }
  return basis;
}

Table Multiply(const Table& a, const Table& b) {
  Table product(a.size(), Row(b[0].size(), 0));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      for (size_t j = 0; j < b[0].size(); ++j) {
        product[i][j] += a[i][k] * b[k][j];
      }
    }
  }
  return product;
}

Table Transpose(const Table& table) {
  Table transposed;
  for (size_t j = 0; j < table[0].size(); ++j) {
    transposed.push_back(Column(table, j));
  }
  return transposed;
}

Row Flatten(const std::vector<Table>& weights) {
  Row flat;
  for (const Table& layer : weights) {
    for (const Row& row : layer) {
      flat.insert(flat.end(), row.begin(), row.end());
    }
  }
  return flat;
}

// The inverse of Flatten, into tables of the right shapes.
void Unflatten(const Row& flat, std::vector<Table>& weights) {
  size_t k = 0;
  for (Table& layer : weights) {
    for (Row& row : layer) {
      for (long double& value : row) {
        value = flat[k++];
      }
    }
  }
}

}  // namespace

DeepLinearCurve TrainDeepLinearNetwork(const DeepLinearNetwork& network, const Method& method,
                                       int64_t iterations) {
  std::vector<Table> weights = network.weights;
  const size_t depth = weights.size();
  long double scale = 1 / std::sqrt(static_cast<long double>(network.targets[0].size()));
  for (size_t l = 1; l < depth; ++l) {
    scale /= std::sqrt(static_cast<long double>(weights[0].size()));
  }
  const Table inputs = Transpose(network.features);  // X: d_x x n, its rows are the columns there
  const Table basis = BasisOfColumns(network.features);
  DeepLinearCurve curve;
  for (size_t k = 0; k < network.targets[0].size(); ++k) {
    Row outside = Column(network.targets, k);
    for (const Row& direction : basis) {
      Subtract(outside, Dot(outside, direction), direction);
    }
    curve.loss_floor += Dot(outside, outside) / 2;
  }
  Points points(method, Flatten(weights));
  for (int64_t t = 0; t <= iterations; ++t) {
    Unflatten(points.current(), weights);
    std::vector<Table> images = {inputs};  // images[l] = W_l ... W_1 X
    for (const Table& layer : weights) {
      images.push_back(Multiply(layer, images.back()));
    }
    Table residual = images.back();  // N(X) - Y: d_y x n
    long double squared_norm = 0;
    for (size_t k = 0; k < residual.size(); ++k) {
      for (size_t i = 0; i < residual[k].size(); ++i) {
        residual[k][i] = scale * residual[k][i] - network.targets[i][k];
      }
      for (const Row& direction : basis) {
        const long double part = Dot(residual[k], direction);
        squared_norm += part * part;
      }
    }
    curve.records.push_back({squared_norm / 2, std::sqrt(squared_norm)});
    // dL/dW_l = (W_L ... W_{l+1})' (N(X) - Y) (W_{l-1} ... W_1 X)' scale
    std::vector<Table> gradients(depth);
    Table behind = residual;
    for (size_t l = depth; l >= 1; --l) {
      gradients[l - 1] = Multiply(behind, Transpose(images[l - 1]));
      behind = Multiply(Transpose(weights[l - 1]), behind);
    }
    Row gradient = Flatten(gradients);
    for (long double& value : gradient) {
      value *= scale;
    }
    points.Step(gradient);
  }
  return curve;
}

}  // namespace polyak::reference
