#include "server/storage/file_trace.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"

namespace polyak::storage {
namespace {

constexpr size_t kRecentBlocks = 8;

// Publish promises its callers these codes only.
absl::Status AsPublishError(const absl::Status& status) {
  if (status.ok() || absl::IsResourceExhausted(status) || absl::IsDataLoss(status)) {
    return status;
  }
  return absl::UnavailableError(status.message());
}

}  // namespace

FileTrace::FileTrace(std::unique_ptr<TraceFile> file, int64_t rows, std::vector<DamagedRows> damage)
    : file_(std::move(file)),
      damage_(std::move(damage)),
      synced_rows_(rows),
      row_count_(rows),
      recent_(std::make_shared<TraceBlocks>()) {}

absl::StatusOr<std::unique_ptr<FileTrace>> FileTrace::Create(base::FileSystem& files,
                                                             const std::string& path,
                                                             std::string_view uid, int columns,
                                                             std::string_view description) {
  POLYAK_ASSIGN_OR_RETURN(auto file, TraceFile::Create(files, path, uid, columns, description));
  std::unique_ptr<FileTrace> trace(new FileTrace(std::move(file), 0, {}));
  trace->can_append_ = true;
  return trace;
}

absl::StatusOr<std::unique_ptr<FileTrace>> FileTrace::OpenToWrite(base::FileSystem& files,
                                                                  const std::string& path,
                                                                  std::string_view uid,
                                                                  int64_t rows_known_durable) {
  POLYAK_ASSIGN_OR_RETURN(auto file,
                          TraceFile::Open(files, path, uid, base::FileSystem::Mode::kUpdate));
  POLYAK_ASSIGN_OR_RETURN(RecoveredTrace found, RecoverTrace(*file, rows_known_durable));
  return std::unique_ptr<FileTrace>(
      new FileTrace(std::move(file), found.rows, std::move(found.damage)));
}

absl::StatusOr<std::unique_ptr<FileTrace>> FileTrace::OpenToRead(base::FileSystem& files,
                                                                 const std::string& path,
                                                                 std::string_view uid,
                                                                 int64_t rows) {
  POLYAK_ASSIGN_OR_RETURN(auto file,
                          TraceFile::Open(files, path, uid, base::FileSystem::Mode::kRead));
  return std::unique_ptr<FileTrace>(new FileTrace(std::move(file), rows, {}));
}

absl::Status FileTrace::Rewind(int64_t row) {
  POLYAK_CHECK(row >= 0 && row <= row_count() && synced_rows_ == row_count());
  auto replay = std::make_unique<TraceReplay>(*file_, row, row_count(), agree_);
  auto block = std::make_shared<TraceBlock>(file_->layout(), file_->uid_hash(), BlockOf(row));
  POLYAK_RETURN_IF_ERROR(replay->Start(*block));
  const int64_t index = row - FirstRowOf(block->number());
  if (replay->done() && index == 0 && !replay->chain()) {
    return file_->DamageError(block->number() - 1, kBlockRows, "new rows can't be chained to them");
  }
  next_ = block->column(0) + index;
  block_end_ = block->column(0) + kBlockRows;
  blocks_ = {std::move(block)};
  append_block_ = 1;
  written_ = row;
  replay_ = std::move(replay);
  can_append_ = true;
  if (replay_->done()) {
    FinishReplay();
  }
  CountMemory();
  return absl::OkStatus();
}

void FileTrace::Close() {
  can_append_ = false;
  replay_.reset();
  blocks_.clear();
  spare_.clear();
  append_block_ = 0;
  next_ = block_end_ = nullptr;
  auto none = std::make_shared<const TraceBlocks>();
  {
    const base::MutexLock lock(&mutex_);
    recent_.swap(none);
    last_seconds_.reset();
  }
  CountMemory();
}

void FileTrace::Reserve(int64_t rows) {
  POLYAK_CHECK(can_append_);
  int64_t room =
      static_cast<int64_t>(blocks_.size() - append_block_) * kBlockRows + (block_end_ - next_);
  for (; room < rows; room += kBlockRows) {
    const int64_t number = blocks_.empty() ? BlockOf(written_) : blocks_.back()->number() + 1;
    if (spare_.empty()) {
      blocks_.push_back(std::make_shared<TraceBlock>(file_->layout(), file_->uid_hash(), number));
    } else {
      spare_.back()->Restart(number);
      blocks_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
  }
  CountMemory();
}

void FileTrace::Append(std::span<const double> row) noexcept {
  if (next_ == block_end_) [[unlikely]] {
    next_ = blocks_[append_block_++]->column(0);
    block_end_ = next_ + kBlockRows;
  }
  double* to = next_++;
  for (const double value : row) {
    *to = value;
    to += kBlockRows;
  }
  ++written_;
}

absl::Status FileTrace::Publish(double elapsed_seconds) {
  return WhileNewest([this, elapsed_seconds] { return PublishRows(elapsed_seconds); });
}

absl::Status FileTrace::Sync() {
  return WhileNewest([this] { return SyncRows(); });
}

absl::Status FileTrace::PublishRows(double elapsed_seconds) {
  POLYAK_RETURN_IF_ERROR(status_);
  absl::Status status = CompareRecomputed();
  if (status.ok() && written_ > row_count()) {
    status = StoreRows(elapsed_seconds);
    if (status.ok()) {
      ShowRows();
    }
  }
  CountMemory();
  status = AsPublishError(status);
  if (absl::IsDataLoss(status)) {
    status_ = status;
  }
  return status;
}

absl::Status FileTrace::CompareRecomputed() {
  while (replay_ != nullptr && replay_->compared() < written_) {
    const std::shared_ptr<TraceBlock> front = blocks_.front();
    const int64_t block_end = FirstRowOf(front->number() + 1);
    const int64_t to = std::min({written_, replay_->end(), block_end});
    POLYAK_RETURN_IF_ERROR(replay_->Compare(front, to));
    if (to == block_end) {
      blocks_.pop_front();
      --append_block_;
    }
    if (replay_->done()) {
      FinishReplay();
    }
  }
  return absl::OkStatus();
}

void FileTrace::FinishReplay() {
  const int64_t end = replay_->end();
  if (end == FirstRowOf(BlockOf(end))) {
    previous_chain_ = replay_->chain().value();
  } else {
    blocks_.front()->ShowTimes(0);
    previous_chain_ = blocks_.front()->head.previous_chain;
  }
  timed_row_ = end - 1;
  timed_seconds_ = replay_->last_seconds();
  replay_.reset();
}

// Writes the rows of blocks_ to the file. When it fails and is called again, it goes on with the
// first block that is not there as a whole.
absl::Status FileTrace::StoreRows(double elapsed_seconds) {
  const SliceTimes times = {timed_row_, timed_seconds_, written_ - 1,
                            std::max(elapsed_seconds, timed_seconds_)};
  uint32_t chain = previous_chain_;
  for (const auto& block : blocks_) {
    const int64_t count = RowsWithin(block->number(), written_);
    if (block->head.count < count) {
      BlockHead next = ExtendHead(block->head, *block, count, times);
      next.synced_rows = synced_rows_;
      next.previous_chain = chain;
      POLYAK_RETURN_IF_ERROR(file_->Store(next, block->head.count, *block));
      timed_row_ = FirstRowOf(block->number()) + count - 1;
      timed_seconds_ = next.elapsed[kElapsedSamples];
    }
    if (count < kBlockRows) {
      break;
    }
    chain = block->head.Chain();
  }
  return absl::OkStatus();
}

// Publishes what StoreRows has written.
void FileTrace::ShowRows() {
  const int64_t shown = row_count();
  std::shared_ptr<const TraceBlocks> recent;
  {
    const base::MutexLock lock(&mutex_);
    recent = recent_;
  }
  auto next = std::make_shared<TraceBlocks>(*recent);
  const int64_t first_kept = BlockOf(written_ - 1) - static_cast<int64_t>(kRecentBlocks);
  for (const auto& block : blocks_) {
    const int64_t number = block->number();
    if (FirstRowOf(number) >= written_) {
      break;
    }
    block->ShowTimes(std::max<int64_t>(shown - FirstRowOf(number), 0));
    if (number > first_kept && (next->empty() || next->back()->number() < number)) {
      next->push_back(block);
    }
  }
  std::erase_if(*next, [&](const auto& block) { return block->number() <= first_kept; });
  recent = std::move(next);
  {
    const base::MutexLock lock(&mutex_);
    recent_.swap(recent);
    last_seconds_ = timed_seconds_;
    row_count_.store(written_, std::memory_order_release);
  }
  while (!blocks_.empty() && blocks_.front()->head.count == kBlockRows) {
    const std::shared_ptr<TraceBlock>& block = blocks_.front();
    previous_chain_ = block->head.Chain();
    if (block->number() <= first_kept && FirstRowOf(block->number()) >= shown) {
      spare_.push_back(block);
    }
    blocks_.pop_front();
    --append_block_;
  }
}

absl::Status FileTrace::SyncRows() {
  POLYAK_RETURN_IF_ERROR(status_);
  const int64_t rows = row_count();
  const absl::Status status = file_->Sync();
  if (!status.ok()) {
    // Nothing is known about what was written since the last one, and a second try would say yes
    // to rows that are not there.
    status_ = absl::UnavailableError(
        absl::StrCat(std::string{status.message()}, "; the trace must be opened anew"));
    dead_.store(true, std::memory_order_release);
    return status_;
  }
  synced_rows_ = rows;
  if (!blocks_.empty()) {
    blocks_.front()->durable_slot = blocks_.front()->newest_slot;
  }
  return absl::OkStatus();
}

absl::StatusOr<TraceView> FileTrace::View() const {
  if (dead_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the disk did not keep the trace; it is being opened anew");
  }
  const base::MutexLock lock(&mutex_);
  return TraceView{*file_, recent_, row_count(), last_seconds_};
}

absl::StatusOr<Columns> FileTrace::Read(int64_t first_row, int64_t max_rows, int64_t stride) const {
  POLYAK_ASSIGN_OR_RETURN(const TraceView view, View());
  return view.Read(first_row, max_rows, stride);
}

absl::StatusOr<std::vector<ColumnSummary>> FileTrace::Summarize(
    int column, std::span<const int64_t> edges) const {
  POLYAK_ASSIGN_OR_RETURN(const TraceView view, View());
  return view.Summarize(column, edges);
}

absl::StatusOr<double> FileTrace::ElapsedAt(int64_t row) const {
  POLYAK_ASSIGN_OR_RETURN(const TraceView view, View());
  return view.ElapsedAt(row);
}

absl::StatusOr<uint32_t> FileTrace::Digest() const {
  const int64_t rows = row_count();
  if (rows == 0) {
    return 0;
  }
  const int64_t number = BlockOf(rows - 1);
  const int64_t count = RowsWithin(number, rows);
  TraceBlock block(file_->layout(), file_->uid_hash(), number);
  POLYAK_RETURN_IF_ERROR(file_->ReadBlock(number, count, block));
  if (block.head.count == count) {
    return block.head.Chain();
  }
  BlockHead cut = block.head;
  cut.count = 0;
  std::fill(cut.columns.begin(), cut.columns.end(), ColumnHead());
  return ExtendHead(cut, block, count, {}).Chain();
}

bool FileTrace::in_memory(int64_t first_row) const {
  if (first_row >= row_count()) {
    return true;
  }
  const base::MutexLock lock(&mutex_);
  return !recent_->empty() && BlockOf(first_row) >= recent_->front()->number();
}

void FileTrace::CountMemory() {
  size_t count = blocks_.size() + spare_.size();
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& block : *recent_) {
      count += blocks_.empty() || block->number() < blocks_.front()->number() ? 1 : 0;
    }
  }
  blocks_held_.store(static_cast<int64_t>(count), std::memory_order_relaxed);
}

int64_t FileTrace::memory_bytes() const {
  const int64_t block = file_->layout().block_bytes() + static_cast<int64_t>(sizeof(TraceBlock)) +
                        file_->layout().columns * static_cast<int64_t>(sizeof(ColumnHead));
  return static_cast<int64_t>(sizeof(*this) + sizeof(TraceFile)) +
         blocks_held_.load(std::memory_order_relaxed) * block;
}

}  // namespace polyak::storage
