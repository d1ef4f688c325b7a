#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/data/dataset.h"
#include "server/engine/linalg/symmetric_spectrum.h"
#include "server/engine/linalg/tridiagonal_form.h"
#include "server/engine/linalg/types.h"
#include "server/engine/problems/problem.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {

enum class SpectrumShape { kUniform, kLogUniform, kTwoClusters, kChebyshev };

struct GeneratedSpectrumSpec {
  int64_t dimension = 0;
  double condition_number = 1;
  double smoothness = 1;  // largest eigenvalue
  SpectrumShape shape = SpectrumShape::kLogUniform;
};

struct LeastSquaresSpec {  // 1/(2n) |Aw - y|^2 + ridge/2 |w|^2: H = A'A/n + ridge I, b = A'y/n
  DatasetSpec dataset;
  double ridge = 0;
};

// f(w) = 1/2 w'Hw - b'w. A full symmetric H, a diagonal one by its entries or by formula, or least
// squares.
struct QuadraticSpec {
  std::variant<std::shared_ptr<const Matrix>, std::shared_ptr<const Vector>, GeneratedSpectrumSpec,
               LeastSquaresSpec>
      hessian;
  std::shared_ptr<const Vector> linear_term;    // b (d); null: 0. Not allowed with least squares
  std::shared_ptr<const Vector> initial_point;  // w_0 (d); null: seeded standard normal
};

// Largest dimension of a full matrix whose eigenvectors are computed: above it the tridiagonal form
// costs a small part of that, and an iteration by it hardly more.
inline constexpr Eigen::Index kEigenvectorsDimensionMax = 128;

// A quadratic with everything computed that a run or its theory needs. Immutable, shared between
// runs.
struct QuadraticInstance {
  // Full (d, d), one object for all instances that were made like each other; or the diagonal (d).
  std::variant<std::shared_ptr<const Matrix>, Vector> hessian;
  Vector linear_term;    // b (d)
  Vector initial_point;  // w_0 (d)
  // Of H. For a diagonal H the sorted diagonal, without eigenvectors; for a full one of more than
  // kEigenvectorsDimensionMax the two ends.
  SymmetricSpectrum spectrum;
  // Of such a full H, where theory and plan both need it; else null.
  std::shared_ptr<const TridiagonalForm> tridiagonal;
  Vector minimiser;  // w* (d): the one nearest to w_0 if H is singular
  int64_t dimension() const { return linear_term.size(); }
  bool is_diagonal() const { return std::holds_alternative<Vector>(hessian); }
  // POLYAK_CHECKed: not diagonal.
  const Matrix& matrix() const;
};

// Whether both have the same full matrix, to the bit.   Cost: O(d^2), O(1) for the same object.
bool HaveSameMatrix(const QuadraticInstance& a, const QuadraticInstance& b);

// Eigenvalues of a generated spectrum, ascending (d). docs/theory.md, "spectrum shapes".
Vector GenerateSpectrum(const GeneratedSpectrumSpec& spec);

// Errors: InvalidArgument if H is indefinite, or singular with b outside its range (unbounded
// below); texts give the eigenvalue and what is accepted.
//   known: instances made before. What one of them with the same full matrix has is taken over
//   where it would come out the same, to the bit: matrix, spectrum and tridiagonal form; with the
//   same linear term the minimiser; all of it with the same start too, and then the result is that
//   instance itself. They are let go before anything is computed, so that the memory of the others
//   is not held by it.
// Cost: O(d^3) for a full matrix; for one that is known O(d^2), and O(n d^2) for least squares;
// O(d log d) for a diagonal one.
absl::StatusOr<std::shared_ptr<const QuadraticInstance>> MakeQuadraticInstance(
    const QuadraticSpec& spec, Seed seed,
    std::vector<std::shared_ptr<const QuadraticInstance>> known = {});

// H_t is H at every iterate: its ends are known.   distance_from_start: |w_t - w_0|.
Diagnostics DiagnoseQuadratic(const QuadraticInstance& instance, double distance_from_start);

// The literal problem: gradient H w - b, loss 1/2 (w - w*)' (H w - b), residual w - w*.
// Cost of Evaluate: 2 d^2 flops, or O(d) for a diagonal H.
std::unique_ptr<Problem> MakeQuadraticProblem(std::shared_ptr<const QuadraticInstance> instance);

}  // namespace polyak::engine
