// What the two forms of the reduced ReLU plan spend: the event-driven one a look at an activation,
// the other one a multiplication of its product. The plan weighs its forms by counted work, with
// constants that come from here (docs/reduced-plans.md, section 3).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/engine/data/built_in.h"
#include "server/engine/plans/event_driven.h"
#include "server/engine/plans/gram_coordinates.h"
#include "server/engine/plans/plan.h"
#include "server/engine/theory/theory.h"
#include "tests/bench/measure.h"
#include "tests/bench/networks.h"

namespace polyak::bench {
namespace {

void CompareForms(benchmark::State& state, const engine::ReluNetworkSpec& spec,
                  int64_t iterations) {
  const engine::ProblemInstance problem = InstanceOf(spec);
  const auto theory =
      engine::Resolve(problem, engine::PolyakMomentumSpec{}, engine::Tuning::kTheorem);
  POLYAK_CHECK(theory.ok());
  const auto instance = std::get<std::shared_ptr<const engine::ReluNetworkInstance>>(problem);
  const engine::LinearMethod method = engine::LinearForm(theory->optimizer);
  for (auto _ : state) {
    engine::EventDrivenNetwork events(instance, method);
    double start = ProcessorSeconds();
    for (int64_t t = 0; t < iterations; ++t) {
      events.Observe();
      events.Step();
    }
    const double by_events = ProcessorSeconds() - start;
    const engine::EventCounts counts = events.counts();
    engine::GramCoordinates products(instance, method, events);
    products.Observe();
    start = ProcessorSeconds();
    for (int64_t t = 0; t < iterations; ++t) {
      products.Step();
    }
    const double by_products = ProcessorSeconds() - start;
    const auto steps = static_cast<double>(iterations);
    const auto entries = static_cast<double>(instance->width * instance->examples());
    state.counters["events_s"] = by_events / steps;
    state.counters["looks"] = static_cast<double>(counts.looks) / steps;
    state.counters["flips"] = static_cast<double>(counts.flips) / steps;
    state.counters["look_ns"] = 1e9 * by_events / static_cast<double>(counts.looks);
    state.counters["products_s"] = by_products / steps;
    state.counters["multiplication_ns"] =
        1e9 * by_products / (steps * 2 * entries * static_cast<double>(instance->examples()));
  }
}

void FormsOfSphere(benchmark::State& state) {
  CompareForms(state, ReluOnSphere(state.range(0), state.range(1), state.range(2)), 100);
}
BENCHMARK(FormsOfSphere)
    ->Args({65'536, 100, 784})
    ->Args({65'536, 20, 20})
    ->Args({1'024, 100, 784})
    ->Args({1'024, 20, 20})
    ->Iterations(1);

void FormsOfDigits(benchmark::State& state) {
  engine::ReluNetworkSpec spec;
  spec.dataset.source = engine::FindBuiltInDataset("datasets/digits")->data;
  spec.dataset.first_examples = 100;
  spec.dataset.scaling = engine::FeatureScaling::kUnitNorm;
  spec.width = state.range(0);
  CompareForms(state, spec, state.range(1));
}
BENCHMARK(FormsOfDigits)->Args({16'384, 20})->Iterations(1);

}  // namespace
}  // namespace polyak::bench
