#pragma once

#include <Eigen/QR>

#include <cstdint>
#include <memory>
#include <utility>

#include "server/base/check.h"
#include "server/engine/problems/registry.h"

namespace polyak::testing_support {

// Standard normal values of a fixed stream: the same in every build.
inline engine::Vector NormalVector(int64_t seed, Eigen::Index size) {
  const engine::RandomStream stream(engine::Seed{seed}, engine::DrawPurpose::kTargets);
  engine::Vector values(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    values(i) = stream.Normal(static_cast<uint64_t>(i));
  }
  return values;
}

inline engine::Matrix NormalEntries(int64_t seed, Eigen::Index rows, Eigen::Index cols) {
  const engine::Vector values = NormalVector(seed, rows * cols);
  return Eigen::Map<const engine::Matrix>(values.data(), rows, cols);
}

// Rows of Euclidean norm 1 in random directions.
inline engine::Matrix UnitRows(int64_t seed, Eigen::Index rows, Eigen::Index cols) {
  engine::Matrix matrix = NormalEntries(seed, rows, cols);
  matrix.rowwise().normalize();
  return matrix;
}

inline std::shared_ptr<const engine::Vector> Share(engine::Vector values) {
  return std::make_shared<const engine::Vector>(std::move(values));
}

inline std::shared_ptr<const engine::Matrix> Share(engine::Matrix values) {
  return std::make_shared<const engine::Matrix>(std::move(values));
}

inline engine::Vector LogUniform(Eigen::Index dimension, double condition_number,
                                 double largest = 1) {
  return engine::GenerateSpectrum(
      {dimension, condition_number, largest, engine::SpectrumShape::kLogUniform});
}

// H = diag(eigenvalues), b = 0, seeded start.
inline engine::QuadraticSpec Diagonal(engine::Vector eigenvalues) {
  engine::QuadraticSpec spec;
  spec.hessian = Share(std::move(eigenvalues));
  return spec;
}

// H = Q diag(eigenvalues) Q' with a seeded orthogonal Q, symmetric to the last bit.
inline engine::QuadraticSpec Rotated(const engine::Vector& eigenvalues, int64_t seed) {
  const Eigen::Index dimension = eigenvalues.size();
  const Eigen::HouseholderQR<engine::Matrix> qr(NormalEntries(seed, dimension, dimension));
  const engine::Matrix q = qr.householderQ();
  const engine::Matrix product = q * eigenvalues.asDiagonal() * q.transpose();
  engine::QuadraticSpec spec;
  spec.hessian = Share(engine::Matrix((product + product.transpose()) / 2));
  return spec;
}

inline engine::DatasetSpec DataOf(engine::Matrix features, engine::Matrix targets) {
  engine::Dataset data;
  data.features = std::move(features);
  data.targets = std::move(targets);
  engine::DatasetSpec spec;
  spec.source = std::make_shared<const engine::Dataset>(std::move(data));
  return spec;
}

inline engine::ReluNetworkSpec ReluNetwork(engine::Matrix features, const engine::Vector& targets,
                                           int64_t width) {
  engine::ReluNetworkSpec spec;
  spec.dataset = DataOf(std::move(features), targets);
  spec.width = width;
  return spec;
}

inline engine::DeepLinearNetworkSpec DeepLinearNetwork(engine::Matrix features,
                                                       engine::Matrix targets, int64_t width,
                                                       int depth) {
  engine::DeepLinearNetworkSpec spec;
  spec.dataset = DataOf(std::move(features), std::move(targets));
  spec.width = width;
  spec.depth = depth;
  return spec;
}

// Of a problem that can be made.
inline engine::ProblemInstance Make(const engine::ProblemSpec& spec, int64_t seed = 0) {
  auto instance = engine::Instantiate(spec, engine::Seed{seed});
  POLYAK_CHECK(instance.ok());
  return *std::move(instance);
}

}  // namespace polyak::testing_support
