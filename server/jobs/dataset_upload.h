#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/dataset_service.pb.h"
#include "server/base/clock.h"
#include "server/storage/dataset_store.h"
#include "server/storage/sha256.h"

namespace polyak::jobs {

class DatasetUpload;

// What an upload needs of those who keep the data sets.
class UploadRoom {
 public:
  virtual ~UploadRoom() = default;
  // The data set with these numbers, if it is there and whole.
  virtual std::optional<v1::StoredDataset> FindSame(const std::string& sha256) const = 0;
  // Between the two nobody else stores or deletes a data set of this name.
  //   Errors: Unavailable if somebody does.
  virtual absl::Status BeginStoring(const std::string& name) = 0;
  // stored: what is there from now on; null if it could not be stored.
  virtual void EndStoring(const std::string& name, const v1::StoredDataset* stored) = 0;
  // The upload is gone: its place, and what was reserved for it and is not used, are free.
  virtual void Leave(const DatasetUpload& upload, int64_t bytes) = 0;
};

// "datasets/{id}" of a digest.
std::string DatasetName(const std::string& sha256);
// On the disk.
int64_t DatasetBytes(int64_t examples, int64_t inputs, int64_t outputs);

// One data set on its way in: chunks in order, then Finish. Dropped before, it leaves nothing. For
// one thread at a time; waits for the disk.
class DatasetUpload {
 public:
  // header: checked; what its size needs is reserved.   room, clock: outlive it.
  //   give_up: makes the sender go away, so that this is dropped soon; from any thread.
  DatasetUpload(const v1::DatasetHeader& header, UploadRoom& room, const base::Clock& clock,
                std::unique_ptr<storage::DatasetStore::Upload> file, std::function<void()> give_up);
  ~DatasetUpload();
  DatasetUpload(const DatasetUpload&) = delete;
  DatasetUpload& operator=(const DatasetUpload&) = delete;

  // Errors: InvalidArgument, with the field; ResourceExhausted, Unavailable: those of the disk.
  absl::Status Add(const v1::DatasetChunk& chunk);
  // Once, when all chunks have been added.   Returns the data set as it is kept.
  absl::StatusOr<v1::StoredDataset> Finish();

  // Of the clock, when something last came. From any thread, as the next.
  double last_active() const { return last_active_; }
  void GiveUp() const { give_up_(); }

 private:
  int64_t count() const;  // of all values

  const v1::DatasetHeader header_;
  UploadRoom& room_;
  const base::Clock& clock_;
  std::unique_ptr<storage::DatasetStore::Upload> file_;
  const std::function<void()> give_up_;
  std::atomic<double> last_active_;
  storage::Sha256Stream sha256_;
  int64_t added_ = 0;  // values
  bool kept_ = false;  // its bytes are those of a stored data set
};

}  // namespace polyak::jobs
