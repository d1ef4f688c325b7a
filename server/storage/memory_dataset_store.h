#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/base/mutex.h"
#include "server/storage/dataset_store.h"

namespace polyak::storage {

// Data sets in memory: gone with the process.
class MemoryDatasetStore : public DatasetStore {
 public:
  absl::StatusOr<Loaded> Load() override { return Loaded(); }
  absl::StatusOr<std::unique_ptr<Upload>> Begin() override;
  absl::Status Read(const v1::StoredDataset& dataset, const Take& take) const override;
  absl::Status Remove(const std::string& name) override;

 private:
  class MemoryUpload;

  mutable base::Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const std::vector<double>>> values_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
