#include "server/engine/theory/certificate.h"

#include <cmath>
#include <utility>

#include "server/engine/theory/bound_curve.h"

namespace polyak::engine {
namespace {

constexpr int64_t kPowerInterval = 1024;
constexpr int64_t kIterationsMax = int64_t{1} << 50;  // more than a machine can see

}  // namespace

CertificateChecker::CertificateChecker(const BoundSpec& bound, std::vector<Assumption> assumptions,
                                       double floor)
    : bound_(bound), assumptions_(std::move(assumptions)), floor_(floor) {
  bound_.rate += bound_.rounding;
}

void CertificateChecker::Add(int64_t iteration, double residual_norm, double stacked_norm) {
  if (closed_ || !bound_.exists()) {
    return;
  }
  const double measured = bound_.on_stacked_norm ? stacked_norm : residual_norm;
  if (iteration == 0) {
    reference_ = measured;
    current_ = bound_.constant * reference_ * bound_.rate;
    closed_ = !(reference_ > 0);  // a run that starts at its end has nothing to show
    return;
  }
  const double bound = current_;
  current_ =
      (iteration + 1) % kPowerInterval == 0
          ? bound_.constant * reference_ * std::pow(bound_.rate, static_cast<double>(iteration + 1))
          : bound * bound_.rate;
  if (!(bound > floor_)) {
    closed_ = true;
    return;
  }
  ++checked_;
  // A run that follows an equality is off it by its rounding, whose size is the floor's.
  const double allowed = bound_.slack_factor > 1 ? bound * bound_.slack_factor + floor_ : bound;
  last_slack_ = allowed / measured;
  // Written so that NaN counts as a violation.
  if (!(measured <= allowed) && first_violation_ < 0) {
    first_violation_ = iteration;
  }
  if (checked_ == 1 || !(last_slack_ >= least_slack_)) {
    least_slack_ = last_slack_;
    least_slack_iteration_ = iteration;
  }
}

Certificate CertificateChecker::certificate() const {
  Certificate certificate;
  certificate.assumptions = assumptions_;
  certificate.iterations_checked = checked_;
  if (checked_ > 0) {
    certificate.bound_held = first_violation_ < 0;
    certificate.least_slack = least_slack_;
    certificate.least_slack_iteration = least_slack_iteration_;
    certificate.last_slack = last_slack_;
    if (first_violation_ >= 0) {
      certificate.first_violation = first_violation_;
    }
  }
  bool applicable = bound_.exists() && checked_ > 0;
  for (const Assumption& assumption : assumptions_) {
    applicable = applicable && assumption.status != Assumption::Status::kUnmet;
  }
  if (applicable) {
    certificate.verdict = certificate.bound_held ? Verdict::kPass : Verdict::kViolated;
  }
  return certificate;
}

void CertificateChecker::Save(base::ByteSink& out) const {
  out.WriteDouble(bound_.constant);
  out.WriteDouble(bound_.rate);
  out.WriteDouble(bound_.slack_factor);
  out.WriteInt(bound_.on_stacked_norm ? 1 : 0);
  out.WriteDouble(floor_);
  out.WriteDouble(reference_);
  out.WriteDouble(current_);
  out.WriteInt(closed_ ? 1 : 0);
  out.WriteInt(checked_);
  out.WriteDouble(least_slack_);
  out.WriteInt(least_slack_iteration_);
  out.WriteDouble(last_slack_);
  out.WriteInt(first_violation_);
}

absl::Status CertificateChecker::Load(base::ByteSource& in) {
  in.ExpectDouble(bound_.constant, "the bound's constant of a saved state");
  in.ExpectDouble(bound_.rate, "the bound's rate of a saved state");
  in.ExpectDouble(bound_.slack_factor, "the bound's slack of a saved state");
  in.ExpectInt(bound_.on_stacked_norm ? 1 : 0, "the bound's norm of a saved state");
  floor_ = in.ReadDouble();
  reference_ = in.ReadDouble();
  current_ = in.ReadDouble();
  closed_ = in.ReadIntWithin(0, 1) == 1;
  checked_ = in.ReadIntWithin(0, kIterationsMax);
  least_slack_ = in.ReadDouble();
  least_slack_iteration_ = in.ReadIntWithin(0, checked_);
  last_slack_ = in.ReadDouble();
  first_violation_ = in.ReadIntWithin(-1, checked_);
  return in.status();
}

double BoundAt(const BoundSpec& bound, double initial_residual_norm, int64_t iteration) {
  return BoundCurve(bound, initial_residual_norm).At(iteration);
}

}  // namespace polyak::engine
