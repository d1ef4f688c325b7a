#include "server/engine/plans/reduced_relu.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/vector_bytes.h"
#include "server/engine/plans/event_driven.h"
#include "server/engine/plans/gram_coordinates.h"
#include "server/engine/plans/relu_method.h"
#include "server/engine/plans/saved_plan.h"

namespace polyak::engine {
namespace {

constexpr int64_t kReducedReluState = 3;  // of the reduced plans, in a saved state
constexpr int64_t kEventForm = 0;
constexpr int64_t kGramForm = 1;

// How often the work so far is weighed, in iterations: of the event-driven form, and of products,
// which are left only where events would cost less than half.
constexpr int64_t kWindow = 16;
constexpr int64_t kProductWindow = 64;
constexpr double kReturnGain = 2;
// What the way back takes, and the next one into products, is to be paid back in as many
// iterations.
constexpr double kReturnIterations = 256;
// Of all activations: where more have ever flipped, their records would take too much memory.
constexpr double kFlippedShareMax = 0.5;
// What things cost, in nanoseconds of one processor's time, measured by script/bench
// --benchmark_filter=FormsOf (docs/reduced-plans.md, section 3). On another processor the ratios
// are somewhat different; the choices made by them are the same on all.
constexpr double kLook = 40;  // waiting for scattered memory
constexpr double kLookPerExample = 0.6;
constexpr double kFlipPerExample = 50;
constexpr double kProductEntry = 13;  // of m n: all of a pass by products but the product
constexpr double kProductEntryPerExample = 0.035;
constexpr double kNormal = 6;              // of long fills
constexpr double kMultiplication = 0.035;  // and an addition, in a large product of matrices
// Three matrices m x n and the scratch: beyond this Gram coordinates are not entered.
constexpr double kGramBytesMax = 1e9;

using NetworkPointer = std::shared_ptr<const ReluNetworkInstance>;

double LookCost(double examples) { return kLook + kLookPerExample * examples; }
double ProductStepCost(double width, double examples) {
  return width * examples * (kProductEntry + kProductEntryPerExample * examples);
}
// Of drawing the weights and taking Z.
double StartCost(double width, double examples, double inputs) {
  return width * inputs * (kNormal + kMultiplication * examples);
}

double GramBytes(double width, double examples) { return 4 * 8 * width * examples; }

class ReducedReluStepper : public Stepper {
 public:
  ReducedReluStepper(NetworkPointer instance, const LinearMethod& method,
                     const base::StopWish& stops)
      : instance_(std::move(instance)),
        method_(method),
        events_(std::make_unique<EventDrivenNetwork>(instance_, method_, stops)) {}

  Observation Observe() override {
    if (gram_ != nullptr) {
      return gram_->Observe();
    }
    const Observation observation = events_->Observe();
    if (has_returned_) {
      weighed_ = events_->counts();  // what the way back took is no sign of what is to come
      has_returned_ = false;
    }
    return observation;
  }

  void Step() override {
    if (gram_ != nullptr) {
      StepByProducts();
    } else {
      StepByEvents();
    }
  }

  double flipped_share() const override {
    return gram_ != nullptr ? gram_->flipped_share() : events_->flipped_share();
  }

  Diagnostics Diagnose() override {
    return gram_ != nullptr ? gram_->Diagnose() : events_->Diagnose();
  }

  // W = W_0 - eta (S + carry M) X, column by column.
  void WriteIterate(base::ByteSink& out) const override {
    Matrix weights(instance_->width, instance_->input_dimension());
    FillInitialHiddenWeights(*instance_, 0, weights);
    const double carry = MemoryCarry(method_);
    for (Eigen::Index r = 0; r < weights.rows(); ++r) {
      const NeuronMotion motion = gram_ != nullptr ? gram_->MotionOf(r) : events_->MotionOf(r);
      weights.row(r) -= method_.step_size * (motion.sum + carry * motion.memory).transpose() *
                        instance_->features;
    }
    for (Eigen::Index k = 0; k < weights.size(); ++k) {
      out.WriteDouble(weights.data()[k]);
    }
  }

  void Save(base::ByteSink& out) const override {
    SaveReducedHead(kReducedReluState, method_, out);
    out.WriteInt(gram_ != nullptr ? kGramForm : kEventForm);
    out.WriteInt(iteration_);
    out.WriteInt(weighed_.looks);
    out.WriteInt(weighed_.flips);
    events_->Save(out);
    if (gram_ != nullptr) {
      SaveVector(weighed_odometer_, out);
      gram_->Save(out);
    }
  }

  absl::Status Load(base::ByteSource& in) override {
    ExpectReducedHead(kReducedReluState, method_, in);
    const int64_t form = in.ReadIntWithin(kEventForm, kGramForm);
    iteration_ = in.ReadIntWithin(0, kSavedCountMax);
    weighed_ = {in.ReadIntWithin(0, kSavedCountMax), in.ReadIntWithin(0, kSavedCountMax)};
    POLYAK_RETURN_IF_ERROR(in.status());
    POLYAK_RETURN_IF_ERROR(events_->Load(in));
    if (form == kEventForm) {
      return absl::OkStatus();
    }
    if (!GramFits()) {
      return absl::DataLossError("a saved state is of a form that this network does not fit in");
    }
    weighed_odometer_.resize(instance_->examples());
    LoadVector(in, weighed_odometer_);
    gram_ = std::make_unique<GramCoordinates>(instance_, method_);
    return gram_->Load(in);
  }

 private:
  bool GramFits() const {
    return GramBytes(static_cast<double>(instance_->width),
                     static_cast<double>(instance_->examples())) <= kGramBytesMax;
  }
  // Of so many looks and flips, and of one iteration by products.
  double EventCost(double looks, double flips) const {
    const auto examples = static_cast<double>(instance_->examples());
    return looks * LookCost(examples) + flips * kFlipPerExample * examples;
  }
  double ProductCost() const {
    return ProductStepCost(static_cast<double>(instance_->width),
                           static_cast<double>(instance_->examples()));
  }

  void StepByEvents() {
    events_->Step();
    ++iteration_;
    if (ProductsAreCheaper()) {
      gram_ = std::make_unique<GramCoordinates>(instance_, method_, *events_);
      BeginProductWindow();
    } else if (iteration_ % kWindow == 0) {
      weighed_ = events_->counts();
    }
  }

  void StepByProducts() {
    events_->Follow(gram_->residual());
    gram_->Step();
    if (++iteration_ % kProductWindow != 0) {
      return;
    }
    if (EventsAreCheaper() && events_->ReachOdometer()) {
      events_->TakeOver(*gram_);
      gram_.reset();
      has_returned_ = true;
    } else {
      BeginProductWindow();
    }
  }

  void BeginProductWindow() {
    iteration_ = 0;
    weighed_odometer_ = events_->odometer();
    weighed_ = {0, gram_->flips()};
  }

  // By counted work, never timed: the bits stay the same. As soon as the window's looks and flips
  // have cost more than products in all of it would.
  bool ProductsAreCheaper() const {
    const EventCounts now = events_->counts();
    const double by_events = EventCost(static_cast<double>(now.looks - weighed_.looks),
                                       static_cast<double>(now.flips - weighed_.flips));
    return GramFits() && by_events > static_cast<double>(kWindow) * ProductCost();
  }
  bool EventsAreCheaper() const {
    const auto width = static_cast<double>(instance_->width);
    const auto examples = static_cast<double>(instance_->examples());
    // All of them can be queued, and so the odometers may come as far as they like.
    if (width * examples > QueuedEntriesMax(width, examples) ||
        static_cast<double>(gram_->ever_flipped()) > kFlippedShareMax * width * examples) {
      return false;
    }
    constexpr auto kIterations = static_cast<double>(kProductWindow);
    const Vector gain = (events_->odometer() - weighed_odometer_) / kIterations;
    // A look at every queued activation, and the start twice: here, and if it has to leave again.
    const double change =
        EventCost(static_cast<double>(events_->queued()), 0) + 2 * ProductCost() +
        2 * StartCost(width, examples, static_cast<double>(instance_->input_dimension()));
    const double by_events =
        EventCost(gram_->ExpectedLooks(gain),
                  static_cast<double>(gram_->flips() - weighed_.flips) / kIterations) +
        change / kReturnIterations;
    return kReturnGain * by_events < ProductCost();
  }

  const NetworkPointer instance_;
  const LinearMethod method_;
  // Always there: what all neurons share goes on in it while the others are in Gram coordinates.
  const std::unique_ptr<EventDrivenNetwork> events_;
  std::unique_ptr<GramCoordinates> gram_;  // null: it is event-driven
  int64_t iteration_ = 0;                  // of the form
  EventCounts weighed_;                    // at the end of the window before
  Vector weighed_odometer_;                // likewise, in Gram coordinates (n)
  bool has_returned_ = false;              // since the last observation
};

// The share of the activations that an iteration looks at, times sqrt(m). Of the first hundred
// iterations, at widths from 10^3 to 6.5 10^4: 0.4 to 1.1 for independent examples on a sphere in
// as many dimensions or more; 30 and more for digits and for more examples than dimensions, which
// move neurons far.
double LooksTimesRootWidth(const ReluNetworkSpec& network) {
  const auto* const synthetic = std::get_if<SyntheticDataSpec>(&network.dataset.source);
  const DataShape shape = ShapeOf(network.dataset);
  const bool independent = synthetic != nullptr && synthetic->correlation == 0 &&
                           !synthetic->condition_number.has_value() &&
                           shape.examples <= shape.inputs;
  return independent ? 1 : 30;
}

}  // namespace

std::optional<PlanCost> ReducedReluCost(const ProblemSpec& problem,
                                        const OptimizerSpec& optimizer) {
  const auto* const network = std::get_if<ReluNetworkSpec>(&problem);
  if (network == nullptr) {
    return std::nullopt;
  }
  static_cast<void>(optimizer);  // every method is linear in the gradients
  const DataShape shape = ShapeOf(network->dataset);
  const auto width = static_cast<double>(network->width);
  const double entries = width * shape.examples;
  const double square = shape.examples * shape.examples;
  const double looks = entries * std::min(1.0, LooksTimesRootWidth(*network) / std::sqrt(width));
  constexpr double kOperation = kMultiplication / 2;  // what a flop of DENSE takes
  PlanCost cost;
  constexpr double kNormalOperations = 30;  // as DENSE counts those that it draws
  cost.setup_operations = width * shape.inputs * (2 * shape.examples + kNormalOperations) +
                          10 * square * shape.examples;
  cost.operations_per_iteration = 20 * square + std::min(looks * LookCost(shape.examples),
                                                         ProductStepCost(width, shape.examples)) /
                                                    kOperation;
  const double queued = QueuedEntriesMax(width, shape.examples);
  const double gram_bytes = GramBytes(width, shape.examples);
  // In its queue; on the way there, twice as long as there are at worst; and records of flips (96
  // bytes), of a sixth of them, or of as many as ever a way back from products takes along.
  const double entry_bytes =
      24 + 32 + 96 * (gram_bytes <= kGramBytesMax ? kFlippedShareMax : 1.0 / 6);
  constexpr double kPreactivationBytesMax = 256e6;
  const DataCost data = EstimateDataCost(*network);
  // Panels of 32 neurons, by rows and by columns, of each of the two threads that draw them.
  constexpr double kDrawn = 2 * 32 * 2;
  cost.bytes = data.instance_bytes + data.setup_bytes + 8 * kDrawn * shape.inputs +
               width * (shape.examples / 8 + 2) + entry_bytes * queued + 8 * 12 * square +
               std::min(8 * entries, kPreactivationBytesMax) +
               (gram_bytes <= kGramBytesMax ? gram_bytes : 0);
  // Where every entry was looked at and a sixth of them has flipped.
  cost.saved_values = 3 * square + 9 * shape.examples + 4 * queued + 32;
  if (gram_bytes <= kGramBytesMax) {
    constexpr double kBlock = 32;
    cost.saved_values =
        std::max(cost.saved_values, 10 * entries + 3 * square + 9 * shape.examples + 32) +
        (3 * kBlock + 1) * std::ceil(width / kBlock) * shape.examples + shape.examples + 32;
  }
  return cost;
}

Eligibility ReducedReluEligible(const Experiment& experiment) {
  if (!std::holds_alternative<NetworkPointer>(experiment.problem)) {
    return {false, "the problem is no ReLU network"};
  }
  return {true,
          "event by event: neurons move by shared n-vectors until an activation flips, and in Gram "
          "coordinates while too many do"};
}

absl::StatusOr<std::unique_ptr<Stepper>> MakeReducedReluStepper(const Experiment& experiment,
                                                                const base::StopWish& stops) {
  const auto* const network = std::get_if<NetworkPointer>(&experiment.problem);
  POLYAK_CHECK(network != nullptr);
  return std::make_unique<ReducedReluStepper>(*network, LinearForm(experiment.optimizer), stops);
}

}  // namespace polyak::engine
