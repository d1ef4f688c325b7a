#pragma once

namespace polyak::runner {

// When the next checkpoint (or sync of a trace) is due, so that all of them together cost at most a
// share of the training time, and that none follows another at once. Knows no clock: it is told.
//
// Costs are forecast by the dearest of late, which fades: by one tenth with each that costs less.
// One that costs more than forecast makes the next ones wait until the share is kept again.
class CheckpointSchedule {
 public:
  struct Options {
    double share = 0.02;        // of training time; the costs are not a part of it
    double interval_least = 1;  // seconds of training time between two
    double first_cost = 0.01;   // seconds: the forecast of the first
  };
  // start: training time at which the count begins, in seconds: where a run was taken up again.
  CheckpointSchedule(double start, const Options& options);
  explicit CheckpointSchedule(double start) : CheckpointSchedule(start, Options()) {}

  // now: training time in seconds.
  //   True only if what was spent and what the next one is forecast to cost are within the share,
  //   and the last one is interval_least ago.
  bool Due(double now) const;
  // One was made at training time `now` and cost so many seconds, whether it was due or not.
  void Made(double now, double cost);
  double spent() const { return spent_; }        // seconds, all together
  double forecast() const { return forecast_; }  // seconds, of the next one

 private:
  const Options options_;
  const double start_;
  double last_;  // training time of the last one; at first the start
  double spent_ = 0;
  double forecast_;
};

}  // namespace polyak::runner
