#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/dataset_service.pb.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/base/worker_pool.h"
#include "server/jobs/dataset_upload.h"
#include "server/spec/limits.h"
#include "server/spec/named_datasets.h"
#include "server/storage/dataset_store.h"
#include "server/storage/job_store.h"

namespace polyak::jobs {

// The data sets of this server: those that ship with it, and those that were sent. Safe from any
// thread. Errors are those of DatasetService, with their details.
class Datasets : public spec::NamedDatasets, private UploadRoom {
 public:
  struct Options {
    spec::Limits limits;                   // of one data set
    int64_t bytes_max = int64_t{1} << 30;  // of all that were sent
    int uploads_max = 8;                   // at once
  };
  using Done = std::function<void(absl::Status)>;

  // Borrows all three, which must outlive it.
  Datasets(const Options& options, storage::DatasetStore& store, const storage::JobStore& jobs,
           const base::Clock& clock);
  ~Datasets() override;  // when every Delete has been answered

  // Takes up what an earlier server kept. Before anything else is called. Waits for the disk.
  absl::Status Load();

  std::optional<engine::StoredDataSpec> Find(const std::string& name) const override;
  absl::Status CheckUsable(const std::string& name) const override;
  // Errors: InvalidArgument; NotFound; those of CheckUsable.
  absl::StatusOr<v1::StoredDataset> Get(const std::string& name) const;
  absl::StatusOr<v1::ListDatasetsResponse> List(const v1::ListDatasetsRequest& request) const;
  // Not while a job names it, whether it is stored or on its way; one that is damaged goes like any
  // other. `done` is called once, on any thread.
  void Delete(const std::string& name, Done done);

  // The data set with these numbers, if it is there and whole: then nothing need be sent.
  //   sha256: as StoredDataset.sha256; empty: none.
  // Waits for the disk, which is read once for each data set that an earlier server stored.
  std::optional<v1::StoredDataset> FindSame(const std::string& sha256) const override;
  // The same for a header. Errors: InvalidArgument if its sum is that of a data set of other sizes.
  absl::StatusOr<std::optional<v1::StoredDataset>> FindAnnounced(
      const v1::DatasetHeader& header) const;
  // Begins to take a data set. Waits for the disk. The upload must not outlive this.
  //   give_up: as DatasetUpload's; called when others need the place of one from which nothing has
  //   come for a minute.
  absl::StatusOr<std::unique_ptr<DatasetUpload>> Begin(const v1::DatasetHeader& header,
                                                       std::function<void()> give_up);
  // Runs a task that waits for the disk; in order of submission on each of a few threads. It must
  // not throw.
  void Run(std::function<void()> task) { disk_.Submit(std::move(task)); }

 private:
  // Who holds it keeps the data set from being deleted.
  struct Entry {
    v1::StoredDataset dataset;
    // Shared by all entries that have taken each other's place, some of which may still be held.
    std::shared_ptr<const std::monostate> name_held = std::make_shared<const std::monostate>();
  };
  // A data set on its way out.
  struct Taken {
    std::string name;
    std::shared_ptr<const Entry> entry;  // null: it is one that can't be used,
    absl::Status unusable;               // and why
  };

  // UploadRoom:
  absl::Status BeginStoring(const std::string& name) override;
  void EndStoring(const std::string& name, const v1::StoredDataset* stored) override;
  void Leave(const DatasetUpload& upload, int64_t bytes) override;

  // What a read of all values has shown.
  void NoteRead(const std::string& name, const absl::Status& status) const;
  absl::Status Reserve(int64_t bytes);
  void GiveBack(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUpIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<engine::Dataset> Read(const Entry& entry, int64_t count) const;
  // Whether a data set may be deleted.
  static absl::Status CheckUse(const std::string& name,
                               const absl::StatusOr<storage::DatasetUse>& use);
  // From here on no new job can name it; until Keep or Remove its name is busy.
  absl::StatusOr<Taken> TakeOut(const std::string& name);
  // The end of Delete: nobody names it.
  void Remove(const Taken& taken, const Done& done);
  // The end of Delete without a removal.
  void Keep(const Taken& taken);

  const Options options_;
  storage::DatasetStore& store_;
  const storage::JobStore& jobs_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const Entry>> entries_ ABSL_GUARDED_BY(mutex_);  // by name
  // Files that are there in vain, by the names of their data sets: they can be sent again or
  // deleted.
  std::map<std::string, absl::Status> unusable_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> busy_ ABSL_GUARDED_BY(mutex_);  // names being stored or deleted
  // Whose values were stored or read whole by this process; the others may be sent again.
  mutable std::set<std::string> whole_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of all stored, and of those on their way
  int deletes_ ABSL_GUARDED_BY(mutex_) = 0;    // that are not answered yet
  base::CondVar no_deletes_;
  int uploads_ ABSL_GUARDED_BY(mutex_) = 0;  // that have a place
  std::set<const DatasetUpload*> begun_ ABSL_GUARDED_BY(mutex_);
  base::WorkerPool disk_;  // ends first
};

}  // namespace polyak::jobs
