#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/base/file_system.h"
#include "server/storage/dataset_store.h"
#include "server/storage/disk_budget.h"

namespace polyak::storage {

// Data sets in files of the folder `datasets` of a data directory: docs/formats/dataset.md.
class FileDatasetStore : public DatasetStore {
 public:
  struct Options {
    std::string data_directory;
    int64_t reserve_bytes = 0;  // of the disk, kept free for others
    // Told of each file that can't be used, by Load. May be empty.
    std::function<void(const absl::Status&)> on_damage = {};
  };
  // files: outlives the store.   Errors: of making the folder.
  static absl::StatusOr<std::unique_ptr<FileDatasetStore>> Open(base::FileSystem& files,
                                                                const Options& options);

  absl::StatusOr<Loaded> Load() override;
  absl::StatusOr<std::unique_ptr<Upload>> Begin() override;
  absl::Status Read(const v1::StoredDataset& dataset, const Take& take) const override;
  absl::Status Remove(const std::string& name) override;

 private:
  class FileUpload;
  FileDatasetStore(const Options& options, std::unique_ptr<DiskBudget> files)
      : options_(options), files_(std::move(files)) {}
  std::string directory() const { return options_.data_directory + "/datasets"; }
  std::string PathOf(const std::string& name) const;

  const Options options_;
  const std::unique_ptr<DiskBudget> files_;
  std::atomic<int64_t> uploads_ = 0;  // begun, for their names
};

}  // namespace polyak::storage
