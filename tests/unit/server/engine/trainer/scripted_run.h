#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "server/base/check.h"
#include "server/base/stop_token.h"
#include "server/engine/trainer/trainer.h"
#include "tests/support/run.h"

namespace polyak::engine {

// Plays observations given beforehand, the last one for ever: the trainer's rules can then be
// tested at numbers that no problem gives on purpose. Counts what is asked of it.
class ScriptedStepper : public Stepper {
 public:
  struct Calls {
    int64_t observed = 0;
    int64_t stepped = 0;
  };
  ScriptedStepper(std::vector<Observation> script, Calls& calls)
      : script_(std::move(script)), calls_(calls) {}
  Observation Observe() override {
    POLYAK_CHECK(calls_.observed++ == calls_.stepped);  // once an iterate
    return script_[position_];
  }
  void Step() override {
    ++calls_.stepped;
    position_ = position_ + 1 < script_.size() ? position_ + 1 : position_;
  }
  double flipped_share() const override { return 0.25; }
  Diagnostics Diagnose() override {
    Diagnostics diagnostics;
    diagnostics.distance_from_start = static_cast<double>(position_);
    return diagnostics;
  }
  void Save(base::ByteSink& out) const override { out.WriteInt(static_cast<int64_t>(position_)); }
  absl::Status Load(base::ByteSource& in) override {
    position_ = static_cast<size_t>(in.ReadIntWithin(0, static_cast<int64_t>(script_.size()) - 1));
    calls_.observed = 1;  // as if it had been, at this place
    return in.status();
  }
  void WriteIterate(base::ByteSink& out) const override {
    out.WriteDouble(static_cast<double>(position_));
  }

 private:
  const std::vector<Observation> script_;
  Calls& calls_;
  size_t position_ = 0;
};

// A trainer over a script, with what it writes to. No theorem, and the rounding floor of a small
// diagonal quadratic: none but underflow.
class ScriptedRun {
 public:
  ScriptedRun(std::vector<Observation> script, const StoppingRule& stopping,
              const TheoryResolution& theory = {})
      : trainer(AnyExperiment(), theory, stopping,
                std::make_unique<ScriptedStepper>(std::move(script), calls), rows, stop) {}

  // To the end, one record at a time.
  Progress RunToEnd() {
    Progress progress;
    while (progress.running()) {
      progress = trainer.Advance(1);
    }
    return progress;
  }

  ScriptedStepper::Calls calls;
  testing_support::RowRecorder rows;
  base::StopToken stop;
  Trainer trainer;

 private:
  static Experiment AnyExperiment() {
    QuadraticSpec spec;
    spec.hessian = GeneratedSpectrumSpec{2, 4, 1, SpectrumShape::kUniform};
    auto instance = Instantiate(spec, Seed{});
    POLYAK_CHECK(instance.ok());
    return {*instance, GradientDescentSpec{1.0}};
  }
};

// Residual norms with the losses that networks have.
inline std::vector<Observation> Residuals(const std::vector<double>& norms) {
  std::vector<Observation> script;
  for (const double norm : norms) {
    script.push_back({0.5 * norm * norm, norm});
  }
  return script;
}

inline StoppingRule AtMost(int64_t iterations) {
  StoppingRule stopping;
  stopping.max_iterations = iterations;
  return stopping;
}

inline StoppingRule ToRelativeLoss(double relative_loss, int64_t iterations = 1000) {
  StoppingRule stopping = AtMost(iterations);
  stopping.relative_loss = relative_loss;
  return stopping;
}

}  // namespace polyak::engine
