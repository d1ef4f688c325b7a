#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/dataset_service.pb.h"

namespace polyak::storage {

// Where data sets that were sent are kept, by their names, "datasets/{id}", whose id becomes a file
// name: the caller has checked it. Safe from any thread. Every call may wait for the disk: not for
// callback threads.
class DatasetStore {
 public:
  // One that is being written. Dropped before Commit, it leaves nothing. For one thread at a time.
  class Upload {
   public:
    virtual ~Upload() = default;
    // The next values: features row by row, then targets row by row.  Errors: those of the disk.
    virtual absl::Status Append(std::span<const double> values) = 0;
    // Makes all of it durable, in place of what had this name. Once, and last.
    //   Errors: those of the disk; then what had the name is as it was, or gone.
    virtual absl::Status Commit(const v1::StoredDataset& dataset) = 0;
  };

  using Take = std::function<void(std::span<const double>)>;

  // What is there at a start.
  struct Loaded {
    std::vector<v1::StoredDataset> datasets;
    // By the names that their files have, in order: why it can't be used. DataLoss if it is
    // damaged.
    std::vector<std::pair<std::string, absl::Status>> unusable;
  };

  virtual ~DatasetStore() = default;
  // What is there; what an interrupted upload left is removed. Before anything else is called.
  //   Errors: those of the disk.
  virtual absl::StatusOr<Loaded> Load() = 0;
  virtual absl::StatusOr<std::unique_ptr<Upload>> Begin() = 0;
  // Gives all values of a data set to `take`, in order, some at a time; with an error they are not
  // those that were stored.
  //   Errors: DataLoss, with its name, also if there is none; those of the disk.   Cost: 64 KiB of
  //   memory.
  virtual absl::Status Read(const v1::StoredDataset& dataset, const Take& take) const = 0;
  // OK if there is none.  Errors: those of the disk.
  virtual absl::Status Remove(const std::string& name) = 0;
};

}  // namespace polyak::storage
