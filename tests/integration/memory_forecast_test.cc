// What a preview says that a job needs, and what the server that runs it takes: admission counts on
// it.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/time/time.h"
#include "client/cpp/client.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace polyak {
namespace {

using ::polyak::testing_support::Process;
using ::polyak::testing_support::Server;

constexpr double kMebibyte = 1024.0 * 1024.0;

// The most memory that a process has had so far, in bytes.
double PeakBytes(const Process& process) {
  std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmHWM:")) {
      double kibibytes = 0;
      std::istringstream(line.substr(6)) >> kibibytes;
      return 1024 * kibibytes;
    }
  }
  ADD_FAILURE() << "no VmHWM";
  return 0;
}

client::Client Connect(const Server& server) {
  client::ClientOptions options;
  options.server = server.address();
  return client::Client(options);
}

v1::TrainingJob RunToItsEnd(client::Client& client, const v1::TrainingJobSpec& spec) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  const auto job = client.Submit(request);
  EXPECT_TRUE(job.ok()) << job.status();
  if (!job.ok()) {
    return {};
  }
  const auto ended = client.Wait(job->name(), absl::Minutes(5));
  EXPECT_TRUE(ended.ok()) << ended.status();
  return ended.ok() ? *ended : v1::TrainingJob();
}

v1::TrainingJobSpec Spec(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

struct Case {
  std::string name;
  std::string spec;
  // The forecast over what is taken, at most: where flips decide, it is of as many as a run may
  // have.
  double excess = 2.5;
};

class MemoryForecast : public ::testing::TestWithParam<Case> {};

TEST_P(MemoryForecast, IsWhatTheJobTakesAtMostAndNotMuchMore) {
  const v1::TrainingJobSpec spec = Spec(GetParam().spec);
  Server other;
  const auto preview = Connect(other).Preview(spec);  // which may prepare the problem
  ASSERT_TRUE(preview.ok()) << preview.status();
  const double forecast = preview->forecast().memory_bytes();
  Server server({"--workers=1"});
  client::Client client = Connect(server);
  // Threads, arenas and code, which the first job of a server brings along.
  (void)RunToItsEnd(client, Spec(R"pb(
                      quadratic { spectrum { generated { dimension: 3 condition_number: 9 } } }
                      optimizer { polyak_momentum {} }
                      stopping { max_iterations: 100 })pb"));
  const double before = PeakBytes(server.process());
  const v1::TrainingJob job = RunToItsEnd(client, spec);
  EXPECT_EQ(job.state(), v1::TrainingJob::STATE_SUCCEEDED) << job.error().message();
  const double taken = PeakBytes(server.process()) - before;
  std::printf("%s: %.1f MiB forecast, %.1f MiB taken; %s\n", GetParam().name.c_str(),
              forecast / kMebibyte, taken / kMebibyte, job.resolution().plan_reason().c_str());
  // What the allocator keeps of freed blocks, and pages of the server itself, are in no forecast.
  constexpr double kBeside = 8 * kMebibyte;
  EXPECT_LE(taken, forecast + kBeside);
  EXPECT_LE(forecast, GetParam().excess * taken + kBeside);
}

const Case kCases[] = {
    {"spectrum", R"pb(
       quadratic { spectrum { generated { dimension: 1000000 condition_number: 100 } } }
       optimizer { polyak_momentum {} }
       stopping { max_iterations: 100 })pb"},
    {"tridiagonal", R"pb(
       quadratic {
         least_squares {
           ridge: 1
           dataset { synthetic { examples: 1500 input_dimension: 1500 } }
         }
       }
       optimizer { polyak_momentum {} }
       stopping { max_iterations: 1000 })pb"},
    {"dense_matrix", R"pb(
       quadratic {
         least_squares {
           ridge: 1
           dataset { synthetic { examples: 1500 input_dimension: 1500 } }
         }
       }
       optimizer { nesterov_momentum {} }
       plan: EXECUTION_PLAN_DENSE
       stopping { max_iterations: 100 })pb"},
    {"relu_dense", R"pb(
       relu_network {
         width: 65536
         dataset { synthetic { examples: 50 input_dimension: 100 } }
       }
       optimizer { polyak_momentum {} }
       plan: EXECUTION_PLAN_DENSE
       stopping { max_iterations: 20 })pb"},
    {"relu_diagnosed", R"pb(
       relu_network {
         width: 65536
         dataset { synthetic { examples: 50 input_dimension: 100 } }
       }
       optimizer { gradient_descent {} }
       plan: EXECUTION_PLAN_DENSE
       diagnostics_interval: 5
       stopping { max_iterations: 20 })pb"},
    {"relu_events", R"pb(
       relu_network {
         width: 1000000
         dataset { synthetic { examples: 20 input_dimension: 20 } }
       }
       optimizer { polyak_momentum {} }
       plan: EXECUTION_PLAN_REDUCED
       stopping { max_iterations: 300 })pb",
     20},
    {"relu_products", R"pb(
       relu_network {
         width: 16384
         dataset { name: 'datasets/digits' first_examples: 100 }
       }
       optimizer { polyak_momentum {} }
       plan: EXECUTION_PLAN_REDUCED
       stopping { max_iterations: 60 })pb"},
    {"deep_dense", R"pb(
       deep_linear_network {
         width: 512
         depth: 8
         initialization: INITIALIZATION_GAUSSIAN
         dataset { synthetic { examples: 30 input_dimension: 20 output_dimension: 10 } }
       }
       optimizer { polyak_momentum {} }
       stopping { max_iterations: 20 })pb"},
    {"deep_orthogonal", R"pb(
       deep_linear_network {
         width: 700
         depth: 4
         dataset { synthetic { examples: 30 input_dimension: 20 output_dimension: 10 } }
       }
       optimizer { gradient_descent {} }
       plan: EXECUTION_PLAN_DENSE
       stopping { max_iterations: 20 })pb"},
    {"deep_diagnosed", R"pb(
       deep_linear_network {
         width: 512
         depth: 8
         initialization: INITIALIZATION_GAUSSIAN
         dataset { synthetic { examples: 30 input_dimension: 20 output_dimension: 10 } }
       }
       optimizer { nesterov_momentum {} }
       diagnostics_interval: 5
       stopping { max_iterations: 20 })pb"},
    {"deep_reduced", R"pb(
       deep_linear_network {
         width: 1000000
         depth: 10
         dataset { synthetic { examples: 2000 input_dimension: 200 output_dimension: 100 } }
       }
       optimizer { polyak_momentum {} }
       stopping { max_iterations: 100 })pb"},
    {"long_trace", R"pb(
       quadratic { spectrum { generated { dimension: 3 condition_number: 1e9 } } }
       optimizer { gradient_descent {} }
       stopping { max_iterations: 1000000 })pb"},
};

INSTANTIATE_TEST_SUITE_P(Plans, MemoryForecast, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace polyak
