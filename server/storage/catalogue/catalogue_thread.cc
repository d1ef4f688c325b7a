#include "server/storage/catalogue/catalogue_thread.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace polyak::storage {
namespace {

absl::Status Unknown(const absl::Status& why) {
  return absl::UnavailableError(
      absl::StrCat("the catalogue may or may not have kept this: ", std::string{why.message()}));
}

// OK if `why` is.
absl::Status Broken(const absl::Status& why) {
  return why.ok()
             ? why
             : absl::UnavailableError(absl::StrCat(
                   "the catalogue is closed since its disk failed: ", std::string{why.message()}));
}

}  // namespace

CatalogueThread::CatalogueThread(Connection& connection, const base::Clock& clock, Options options)
    : connection_(connection),
      clock_(clock),
      options_(std::move(options)),
      changes_(connection),
      queries_(connection, options_.on_damage),
      thread_(1, "catalogue") {}

absl::Status CatalogueThread::WakeUp() {
  if (broken_.ok() && !working_) {
    thread_.Submit([this] { Work(); });  // which waits for the lock
    working_ = true;
  }
  return broken_;
}

void CatalogueThread::Submit(Change change, Done done) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    status = WakeUp();
    if (status.ok()) {
      pending_.push_back({std::move(change), std::move(done)});
      return;
    }
  }
  done(Broken(status));
}

void CatalogueThread::Submit(Read read) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    status = WakeUp();
    if (status.ok()) {
      reads_.push_back(std::move(read));
      return;
    }
  }
  read(nullptr, Broken(status));
}

absl::Status CatalogueThread::status() {
  const base::MutexLock lock(&mutex_);
  return Broken(broken_);
}

void CatalogueThread::Work() {
  while (true) {
    std::vector<Read> reads;
    std::vector<Pending> batch;
    absl::Status broken;
    {
      const base::MutexLock lock(&mutex_);
      if (reads_.empty() && pending_.empty()) {
        working_ = false;
        return;
      }
      broken = broken_;
      reads.swap(reads_);
      const auto end = EndOfBatch();
      batch.assign(std::make_move_iterator(pending_.begin()), std::make_move_iterator(end));
      pending_.erase(pending_.begin(), end);
    }
    for (const Read& read : reads) {
      read(broken.ok() ? &queries_ : nullptr, Broken(broken));
    }
    if (!broken.ok()) {
      for (const Pending& pending : batch) {
        pending.done(Broken(broken));
      }
    } else if (!batch.empty()) {
      Commit(std::move(batch));
    }
  }
}

std::deque<CatalogueThread::Pending>::iterator CatalogueThread::EndOfBatch() {
  const auto count = std::min(std::ssize(pending_), std::ptrdiff_t{options_.batch_max});
  const auto end = pending_.begin() + count;
  const auto alone = std::find_if(
      pending_.begin(), end, [](const Pending& pending) { return IsOfDamagedJob(pending.change); });
  return alone == pending_.begin() && alone != end ? alone + 1 : alone;
}

void CatalogueThread::CommitOneByOne(std::vector<Pending> batch) {
  for (Pending& pending : batch) {
    if (const absl::Status broken = status(); !broken.ok()) {
      pending.done(broken);
      continue;
    }
    std::vector<Pending> one;
    one.push_back(std::move(pending));
    Commit(std::move(one));
  }
}

void CatalogueThread::Commit(std::vector<Pending> batch) {
  std::vector<const Change*> changes;
  for (const Pending& pending : batch) {
    changes.push_back(&pending.change);
  }
  const auto results = changes_.Commit(changes, clock_.WallTime());
  if (absl::IsDataLoss(results.status())) {
    // One of them meets a damaged page: alone, each has its own answer.
    return CommitOneByOne(std::move(batch));
  }
  // A commit can be durable and the checkpoint after it fail: then this batch is good and the last.
  SqliteVfs& vfs = connection_.vfs();
  if (!results.ok() && !absl::IsResourceExhausted(results.status())) {
    vfs.Freeze(results.status());
  }
  const absl::Status& broken = vfs.frozen();
  if (!broken.ok()) {
    const base::MutexLock lock(&mutex_);
    broken_ = broken;
  }
  for (size_t k = 0; k < batch.size(); ++k) {
    if (results.ok() && (*results)[k].ok()) {
      options_.on_commit(batch[k].change);
    }
  }
  for (size_t k = 0; k < batch.size(); ++k) {
    batch[k].done(results.ok()  ? (*results)[k]
                  : broken.ok() ? results.status()
                                : Unknown(results.status()));
  }
  if (!broken.ok() && options_.on_broken != nullptr) {
    options_.on_broken(broken);
  }
}

}  // namespace polyak::storage
