#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/trace.h"

namespace polyak::jobs {

// A trace that tells when a reader meets damage. Any number of threads.
class GuardedTrace : public storage::TraceReader {
 public:
  // on_damage: gets every DataLoss, and answers what the reader is told instead. Must be short, and
  // safe from any thread.
  using OnDamage = std::function<absl::Status(const absl::Status&)>;
  GuardedTrace(std::shared_ptr<const storage::TraceReader> trace, OnDamage on_damage)
      : trace_(std::move(trace)), on_damage_(std::move(on_damage)) {}

  int64_t row_count() const override { return trace_->row_count(); }
  absl::StatusOr<storage::Columns> Read(int64_t first_row, int64_t max_rows,
                                        int64_t stride) const override;
  absl::StatusOr<std::vector<storage::ColumnSummary>> Summarize(
      int column, std::span<const int64_t> edges) const override;
  absl::StatusOr<double> ElapsedAt(int64_t row) const override;
  bool in_memory(int64_t first_row) const override { return trace_->in_memory(first_row); }
  int64_t memory_bytes() const override { return trace_->memory_bytes(); }

 private:
  template <typename Answer>
  absl::StatusOr<Answer> Told(absl::StatusOr<Answer> answer) const;

  const std::shared_ptr<const storage::TraceReader> trace_;
  const OnDamage on_damage_;
};

}  // namespace polyak::jobs
