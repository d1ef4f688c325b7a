#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/linalg/types.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/activation_mask.h"
#include "server/engine/plans/active_sums.h"
#include "server/engine/plans/due_queue.h"
#include "server/engine/plans/relu_start.h"
#include "server/engine/problems/diagnostics.h"
#include "server/engine/problems/problem.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

class GramCoordinates;

// What was done so far, counted: the same on every machine, so that choices made by it are, too.
struct EventCounts {
  int64_t looks = 0;  // at an activation that could have changed
  int64_t flips = 0;  // activations that had
};

// How one neuron has moved, in the coordinates of the examples (docs/reduced-plans.md, section 3):
// w_r = w_r(0) - eta sum_j (sum + carry memory)_j x_j.
struct NeuronMotion {
  Vector sum;     // S_r: of all memories so far (n)
  Vector memory;  // M_r: the newest of them (n)
  Vector lag;     // what M_r would be with the activations of now from the beginning, less M_r (n)
};

// A wide ReLU network in which nothing is computed for a neuron while its activations stay: between
// two flips its motion is a linear function of n-vectors that all neurons share. An odometer for
// each example bounds how far any activation can have moved; an activation is looked at only when
// its distance from the kink is used up. Exact, whatever flips. docs/reduced-plans.md, section 3.
class EventDrivenNetwork {
 public:
  // Cost: that of StartReluNetwork, and of CollectNearEntries unless Z fits in memory. These ask
  // `stops`, here and whenever they are called again, and throw base::Stopped.
  EventDrivenNetwork(std::shared_ptr<const ReluNetworkInstance> instance,
                     const LinearMethod& method, base::StopWish stops = {});

  // Looks at what could have flipped; once an iterate.   Cost: O(n^2 + n looks).
  Observation Observe();
  void Step();  // Cost: O(n^2)

  // The way through another form and back. While that form takes a step from an iterate with
  // residual `residual`, what all neurons share goes on here.   Cost: O(n^2)
  void Follow(const Vector& residual);
  // Queues all that an odometer has come near; false, and nothing is changed, if that is too much
  // for an event-driven run.   Cost: as CollectNearEntries, where an odometer is beyond its
  // horizon.
  bool ReachOdometer();
  // The state of `other`, which has taken as many steps as were followed; Observe comes next.
  // Cost: InitialPreactivations, and 4 m n^2 flops.
  void TakeOver(const GramCoordinates& other);
  // Calls visit(row, column) for every activation that ever flipped.
  template <typename Visit>
  void ForEachRecord(const Visit& visit) const {
    for (const Flipped& record : records_) {
      visit(int64_t{record.row}, int64_t{record.column});
    }
  }
  const Vector& odometer() const { return odometer_; }  // (n)

  double flipped_share() const;
  EventCounts counts() const { return counts_; }
  int64_t queued() const { return entries_; }  // activations near enough to be watched
  // H_t: the Gram matrix of the network at the last observed iterate (n x n).
  Matrix Gram() const;
  // Of the last observed iterate.   Cost: O(n^2 + n flips), and DescribeGram of n x n if anything
  // has flipped since it was asked last.
  Diagnostics Diagnose();
  const ActivationMask& mask() const { return mask_; }
  // Of the last observed iterate or, after a Step, of the next.   Cost: O(n + flips of the neuron).
  NeuronMotion MotionOf(int64_t row) const;

  // Without the method, which the caller saves. Between Observe and Step, or before the first
  // Observe.
  void Save(base::ByteSink& out) const;
  // Errors: DataLoss, also if what was observed is another value here.
  absl::Status Load(base::ByteSource& in);

 private:
  // Where (row, column) stood when it last flipped, over s_r; since then its memory is
  // excess beta^k + b p.
  struct Flipped {
    double sum = 0;         // S_rj
    double excess = 0;      // M_rj - b p_j, with the b from there on
    double memory_sum = 0;  // q_j, and the part of it that a double does not hold
    double memory_sum_rest = 0;
    int64_t iteration = 0;
    uint32_t row = 0;
    int32_t column = 0;
    int32_t previous = -1;    // record of the same row
    bool is_changed = false;  // whether it is now what it was not at the start
  };

  bool Moves(Eigen::Index column) const { return gram_data_(column, column) > 0; }
  Vector PredictHorizon() const;
  // Queues the entries up to there as well; false, and nothing is changed, if they would be too
  // many.
  bool Extend(Vector up_to, const Matrix* preactivations);
  void LookAtDue();
  void LookAtColumn(Eigen::Index column);
  double Preactivation(const WatchedActivation& activation, Eigen::Index column);
  void Flip(const WatchedActivation& activation, Eigen::Index column, int change);
  Flipped& RecordOf(uint32_t row, int32_t column);
  // S_rj and M_rj over s_r of an entry that has flipped.
  struct EntryMotion {
    double sum;
    double memory;
  };
  EntryMotion MotionOfEntry(const Flipped& record, bool active, double left) const;
  double DistanceFromStart() const;
  double Decay(int64_t iterations) const;  // beta^iterations
  int32_t LastRecord(int64_t row) const;   // -1: none
  void AddRecord(int64_t row, int64_t column, double sum, double memory, bool active);
  void ComputeResidual();
  void Summarize();
  void MoveShared();  // what all neurons share: p, q, odometers
  void SaveDues(base::ByteSink& out) const;
  absl::Status LoadRecords(base::ByteSource& in);
  absl::Status LoadDues(base::ByteSource& in);

  const std::shared_ptr<const ReluNetworkInstance> instance_;
  const LinearMethod method_;
  const base::StopWish stops_;
  const double carry_;
  const double scale_;      // 1 / sqrt(m)
  const Matrix gram_data_;  // G = X X' (n x n)
  const Matrix gram_size_;  // |G_ij|

  ActivationMask mask_;  // as of the last look
  Matrix active_;        // sum_r b_ri b_rj: m A (n x n), whole numbers
  Vector base_;          // sum_r s_r b_ri z_ri(0) (n)
  Matrix sums_;          // Psi (n x n)
  Matrix lag_;           // R (n x n)
  Vector residual_;      // xi_t (n)
  Vector memory_;        // p (n)
  Vector memory_sum_;    // q (n)
  // What rounding left of q, so that its differences are exact although it may grow for ever (n).
  Vector memory_sum_rest_;
  Vector size_memory_;                                  // P (n): p with |xi|
  Vector odometer_;                                     // V (n)
  Vector gain_;                                         // of V, in the last iteration (n)
  Vector horizon_;                                      // beyond it no entry is queued (n)
  std::vector<DueQueue> queues_;                        // by column
  std::vector<Flipped> records_;                        // of every activation that ever flipped
  absl::flat_hash_map<uint32_t, int32_t> last_record_;  // of a row
  std::vector<bool> has_record_;                        // by row: most have none
  std::vector<double> decays_;                          // beta^0, beta^1, ...
  std::vector<WatchedActivation> due_;                  // scratch
  std::vector<WatchedActivation> flipping_;             // scratch
  std::vector<uint64_t> row_words_;                     // scratch: of the mask
  ActiveSums active_sums_;                              // scratch: of weighted_
  Vector weighted_;                                     // scratch: G_ij (q + carry p)_j (n)
  Matrix diagnosed_;                                    // active_ when Diagnose was called last
  Diagnostics diagnostics_;                             // of then
  int64_t iteration_ = 0;
  int64_t flipped_ = 0;  // entries that are not as they were at the start
  EventCounts counts_;
  int64_t entries_ = 0;  // in all queues
  bool observed_ = false;
  Observation observation_;
};

// Entries that the queues of a network may hold: with more, the event-driven form is not worth its
// memory, and a run that would need them ends with std::bad_alloc.
double QueuedEntriesMax(double width, double examples);

}  // namespace polyak::engine
