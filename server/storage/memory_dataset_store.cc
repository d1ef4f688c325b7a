#include "server/storage/memory_dataset_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace polyak::storage {

class MemoryDatasetStore::MemoryUpload : public DatasetStore::Upload {
 public:
  explicit MemoryUpload(MemoryDatasetStore& store) : store_(store) {}

  absl::Status Append(std::span<const double> values) override {
    values_.insert(values_.end(), values.begin(), values.end());
    return absl::OkStatus();
  }
  absl::Status Commit(const v1::StoredDataset& dataset) override {
    const base::MutexLock lock(&store_.mutex_);
    store_.values_[dataset.name()] =
        std::make_shared<const std::vector<double>>(std::move(values_));
    return absl::OkStatus();
  }

 private:
  MemoryDatasetStore& store_;
  std::vector<double> values_;
};

absl::StatusOr<std::unique_ptr<DatasetStore::Upload>> MemoryDatasetStore::Begin() {
  return std::make_unique<MemoryUpload>(*this);
}

absl::Status MemoryDatasetStore::Read(const v1::StoredDataset& dataset, const Take& take) const {
  std::shared_ptr<const std::vector<double>> found;
  {
    const base::MutexLock lock(&mutex_);
    const auto place = values_.find(dataset.name());
    found = place == values_.end() ? nullptr : place->second;
  }
  if (found == nullptr) {
    return absl::DataLossError(absl::StrCat(dataset.name(), " is not kept"));
  }
  take(*found);
  return absl::OkStatus();
}

absl::Status MemoryDatasetStore::Remove(const std::string& name) {
  const base::MutexLock lock(&mutex_);
  values_.erase(name);
  return absl::OkStatus();
}

}  // namespace polyak::storage
