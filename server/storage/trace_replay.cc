#include "server/storage/trace_replay.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"

namespace polyak::storage {
namespace {

double LargerOf(double largest, double value) {
  return std::isfinite(value) ? std::max(largest, std::fabs(value)) : largest;
}

std::string Difference(int64_t row, int column, double stored, double recomputed) {
  return absl::StrCat("row ", row, ", column ", column, ": recomputed ", recomputed, " (bits ",
                      absl::Hex(std::bit_cast<uint64_t>(recomputed)), "), but ", stored, " (bits ",
                      absl::Hex(std::bit_cast<uint64_t>(stored)), ") is stored");
}

}  // namespace

TraceReplay::TraceReplay(TraceFile& file, int64_t row, int64_t end, ValuesAgree agree)
    : file_(file),
      end_(end),
      agree_(std::move(agree)),
      compared_(row),
      largest_(static_cast<size_t>(file.layout().columns)),
      stored_(file.layout(), file.uid_hash(), BlockOf(row)) {}

absl::Status TraceReplay::Start(TraceBlock& block) {
  const int64_t number = BlockOf(compared_);
  const int64_t index = compared_ - FirstRowOf(number);
  if (number == 0) {
    chain_ = 0;
  } else {
    const auto before = file_.ReadHead(number - 1, kBlockRows);
    if (before.ok()) {
      chain_ = before->Chain();
      last_seconds_ = before->elapsed[kElapsedSamples];
    } else if (!absl::IsDataLoss(before.status())) {
      return before.status();
    }
  }
  if (agree_) {
    POLYAK_RETURN_IF_ERROR(FindLargest());
  }
  if (index == 0) {
    return absl::OkStatus();
  }
  POLYAK_RETURN_IF_ERROR(file_.ReadBlock(number, RowsWithin(number, end_), stored_));
  loaded_ = number;
  for (int c = 0; c < file_.layout().columns; ++c) {
    const auto rows = stored_.column(c, index);
    std::copy(rows.begin(), rows.end(), block.column(c));
    for (const double value : rows) {
      largest_[static_cast<size_t>(c)] = LargerOf(largest_[static_cast<size_t>(c)], value);
    }
  }
  last_seconds_ = stored_.head.ElapsedAt(index - 1);
  if (done()) {
    block.head = stored_.head;
    block.newest_slot = stored_.newest_slot;
    block.durable_slot = stored_.newest_slot;
  }
  return absl::OkStatus();
}

absl::Status TraceReplay::FindLargest() {
  for (int64_t block = 0; block < BlockOf(compared_); ++block) {
    const auto head = file_.ReadHead(block, kBlockRows);
    if (absl::IsDataLoss(head.status())) {
      continue;  // a smaller largest value is the stricter one
    }
    if (!head.ok()) {
      return head.status();
    }
    for (size_t c = 0; c < largest_.size(); ++c) {
      const ColumnSummary& summary = head->columns[c].summary;
      largest_[c] = LargerOf(LargerOf(largest_[c], summary.min), summary.max);
    }
  }
  return absl::OkStatus();
}

absl::Status TraceReplay::Load(int64_t block) {
  absl::Status status = file_.ReadBlock(block, RowsWithin(block, end_), stored_);
  if (!status.ok() && !absl::IsDataLoss(status)) {
    return status;
  }
  damage_ = std::move(status);
  loaded_ = block;
  return absl::OkStatus();
}

absl::Status TraceReplay::CompareValues(TraceBlock& block, int64_t from, int64_t to) {
  const int64_t first = FirstRowOf(block.number());
  for (int64_t row = from; row < to; ++row) {
    const int64_t index = row - first;
    for (int c = 0; c < block.layout().columns; ++c) {
      double& recomputed = block.column(c)[index];
      const double stored = stored_.column(c)[index];
      double& largest = largest_[static_cast<size_t>(c)];
      largest = LargerOf(largest, stored);
      const bool same = std::bit_cast<uint64_t>(stored) == std::bit_cast<uint64_t>(recomputed);
      if (!same && !(agree_ && agree_(c, stored, recomputed, largest))) {
        return absl::DataLossError(Difference(row, c, stored, recomputed));
      }
      recomputed = stored;
    }
  }
  return absl::OkStatus();
}

absl::Status TraceReplay::Compare(const std::shared_ptr<TraceBlock>& block, int64_t to) {
  const int64_t number = block->number();
  POLYAK_CHECK(BlockOf(compared_) == number && compared_ < to && BlockOf(to - 1) == number &&
               to <= end_);
  if (loaded_ != number) {
    POLYAK_RETURN_IF_ERROR(Load(number));
  }
  const bool is_last = to == std::min(end_, FirstRowOf(number + 1));
  if (damage_.ok()) {
    POLYAK_RETURN_IF_ERROR(Prove(stored_.head));
    POLYAK_RETURN_IF_ERROR(CompareValues(*block, compared_, to));
    if (is_last) {
      block->head = stored_.head;
      block->newest_slot = stored_.newest_slot;
      block->durable_slot = stored_.newest_slot;
      chain_ = stored_.head.Chain();
      last_seconds_ = stored_.head.elapsed[kElapsedSamples];
    }
  } else if (is_last) {
    POLYAK_RETURN_IF_ERROR(Mend(block));
  }
  if (to == end_) {
    POLYAK_RETURN_IF_ERROR(StoreUnproven());
  }
  compared_ = to;
  return absl::OkStatus();
}

absl::Status TraceReplay::Mend(const std::shared_ptr<TraceBlock>& block) {
  const int64_t number = block->number();
  if (!unproven_.empty() && unproven_.back()->number() == number) {
    return absl::OkStatus();  // this call is made again
  }
  const int64_t count = RowsWithin(number, end_);
  const SliceTimes times = {-1, last_seconds_, 0, last_seconds_};  // theirs are lost
  BlockHead mended = block->head;
  mended.synced_rows = end_;
  mended.previous_chain = chain_.value_or(0);
  mended = ExtendHead(mended, *block, count, times);
  POLYAK_ASSIGN_OR_RETURN(const auto heads, file_.ReadHeads(number));
  for (const auto& found : heads) {
    if (found.head.count != count) {
      continue;
    }
    if (FirstWrongColumn(found.head, *block) >= 0) {
      return absl::DataLossError(
          absl::StrCat(std::string{damage_.message()}, "; and the recomputed rows are others"));
    }
    POLYAK_RETURN_IF_ERROR(Prove(found.head));
    POLYAK_RETURN_IF_ERROR(file_.Store(found.head, 0, *block));
    chain_ = found.head.Chain();
    last_seconds_ = found.head.elapsed[kElapsedSamples];
    return absl::OkStatus();
  }
  if (!chain_) {
    return absl::DataLossError(absl::StrCat(std::string{damage_.message()},
                                            "; they can be recomputed only from row ",
                                            FirstRowOf(number - 1), " or before"));
  }
  chain_ = mended.Chain();
  unproven_.push_back(block);
  unproven_heads_.push_back(std::move(mended));
  return absl::OkStatus();
}

absl::Status TraceReplay::Prove(const BlockHead& next) {
  if (!unproven_.empty() && next.previous_chain != chain_) {
    return absl::DataLossError(absl::StrCat("the rows recomputed for the damaged ones before row ",
                                            next.first_row(),
                                            " are not those whose checksum is stored"));
  }
  return StoreUnproven();
}

absl::Status TraceReplay::StoreUnproven() {
  for (size_t k = 0; k < unproven_.size(); ++k) {
    POLYAK_RETURN_IF_ERROR(file_.Store(unproven_heads_[k], 0, *unproven_[k]));
  }
  unproven_.clear();
  unproven_heads_.clear();
  return absl::OkStatus();
}

}  // namespace polyak::storage
