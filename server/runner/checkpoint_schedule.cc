#include "server/runner/checkpoint_schedule.h"

#include <algorithm>

namespace polyak::runner {
namespace {

constexpr double kFading = 0.9;  // of the forecast, with each one that costs less

}  // namespace

CheckpointSchedule::CheckpointSchedule(double start, const Options& options)
    : options_(options), start_(start), last_(start), forecast_(options.first_cost) {}

bool CheckpointSchedule::Due(double now) const {
  return now - last_ >= options_.interval_least &&
         spent_ + forecast_ <= options_.share * (now - start_);
}

void CheckpointSchedule::Made(double now, double cost) {
  last_ = now;
  spent_ += cost;
  forecast_ = std::max(cost, kFading * forecast_);
}

}  // namespace polyak::runner
