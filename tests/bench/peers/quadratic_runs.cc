// The quadratic of one case of script/bench-peers: writes its numbers for the peers, then runs it
// as often as it is told (whole_run.h).
//
//   polyak_peer_quadratic DIMENSION KAPPA FOLDER
//
// FOLDER gets hessian, linear_term, initial_point, minimiser, each column by column, and
// parameters.json.

#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "server/base/check.h"
#include "tests/bench/peers/whole_run.h"
#include "tests/support/problems.h"

namespace polyak::bench {
namespace {

// H = Q diag(log-uniform) Q' with Q a product of four reflections, so that it is quick to make; b
// of a minimiser of the order of 1.
engine::QuadraticSpec MakeSpec(Eigen::Index dimension, double kappa) {
  engine::Matrix hessian = testing_support::LogUniform(dimension, kappa).asDiagonal();
  for (int k = 1; k <= 4; ++k) {
    const engine::Vector u = testing_support::NormalVector(k, dimension).normalized();
    const engine::Vector product = hessian * u;
    const double form = u.dot(product);
    hessian.noalias() -= 2 * (u * product.transpose() + product * u.transpose());
    hessian.noalias() += 4 * form * u * u.transpose();
  }
  hessian.triangularView<Eigen::StrictlyUpper>() = hessian.transpose();
  engine::QuadraticSpec spec;
  spec.linear_term =
      testing_support::Share(engine::Vector(hessian * testing_support::NormalVector(5, dimension)));
  spec.initial_point = testing_support::Share(testing_support::NormalVector(6, dimension));
  spec.hessian = testing_support::Share(std::move(hessian));
  return spec;
}

void WriteCase(const engine::QuadraticSpec& spec, const std::string& folder) {
  const auto& hessian = *std::get<std::shared_ptr<const engine::Matrix>>(spec.hessian);
  WriteValues(folder + "/hessian", hessian);
  WriteValues(folder + "/linear_term", *spec.linear_term);
  WriteValues(folder + "/initial_point", *spec.initial_point);
  const auto job = Prepared(PolyakRun(spec, engine::ExecutionPlan::kDense, 0));
  const auto& instance =
      *std::get<std::shared_ptr<const engine::QuadraticInstance>>(job->experiment.problem);
  WriteValues(folder + "/minimiser", instance.minimiser);
  std::ofstream(folder + "/parameters.json")
      << absl::StrFormat("{\"dimension\": %d, \"step_size\": %.17g, \"momentum\": %.17g}\n",
                         hessian.rows(), job->theory.method.step_size, job->theory.method.momentum);
}

int Main(int argc, char** argv) {
  int64_t dimension = 0;
  double kappa = 0;
  POLYAK_CHECK(argc == 4 && absl::SimpleAtoi(argv[1], &dimension) &&
               absl::SimpleAtod(argv[2], &kappa));
  const engine::QuadraticSpec spec = MakeSpec(dimension, kappa);
  WriteCase(spec, argv[3]);
  AnswerRuns([&spec](engine::ExecutionPlan plan, int64_t iterations) {
    return PolyakRun(spec, plan, iterations);
  });
  return 0;
}

}  // namespace
}  // namespace polyak::bench

int main(int argc, char** argv) { return polyak::bench::Main(argc, argv); }
