#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/base/file_system.h"
#include "server/storage/catalogue/catalogue_thread.h"
#include "server/storage/catalogue/snapshot_cache.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// Jobs in a SQLite file, catalogue.db: they outlive the process and, once acknowledged, a loss of
// power (docs/decisions/catalogue.md, docs/formats/catalogue.md).
//
// A change is answered after its transaction is synced, on the store's thread, changes in the order
// in which they came. Get answers from memory at once for unfinished jobs and those used last; what
// is in memory is what is durable. Every other read is answered on the store's thread, after the
// transaction that is under way. An answer that calls back into the store may do so.
//
// When the disk fails in a transaction all of its changes are answered by Unavailable, "may or may
// not have been kept", every later call by Unavailable, and on_broken is called once: the process
// must end, and the next one looks what was kept.
class SqliteJobStore : public JobStore {
 public:
  struct Options {
    std::string directory;  // must exist, and be locked by this process
    std::string file_name = "catalogue.db";
    int batch_max = 256;          // changes a transaction; 1: each has a sync of its own
    int checkpoint_pages = 1000;  // of 4 KiB in the log, after which it is copied into the file
    int64_t cache_bytes = int64_t{16} << 20;  // of ended jobs in memory
    // On the store's thread, after the answers.
    std::function<void(absl::Status)> on_broken = {};
    // On the store's thread, once for each damaged job that is met; for a log.
    std::function<void(absl::Status)> on_damage = {};
  };
  // files, clock: outlive the store.   Errors: as Connection::Open.
  // Cost: O(1) in the number of jobs; a look at each unfinished one in LoadUnfinished.
  static absl::StatusOr<std::unique_ptr<SqliteJobStore>> Open(base::FileSystem& files,
                                                              const base::Clock& clock,
                                                              Options options);
  ~SqliteJobStore() override = default;  // does what was asked for before, and answers it

  void Insert(JobSnapshot job, const RequestKey& key, Done done) override;
  void Update(JobSnapshot job, Done done) override;
  void RequestCancel(const std::string& name, Done done) override;
  void Remove(const std::string& name, const std::string& uid, Done done) override;
  void RemoveDamaged(const std::string& name, RemoveDamagedDone done) override;
  void Get(const std::string& name, GetDone done) const override;
  void FindRequest(const RequestKey& key, GetDone done) const override;
  void List(const ListPage& page, ListDone done) const override;
  void ListEnded(int64_t limit, ListDone done) const override;
  void FindDatasetUse(const std::string& dataset, DatasetUseDone done) const override;
  absl::StatusOr<std::vector<StoredJob>> LoadUnfinished() override;
  absl::StatusOr<std::vector<std::string>> LoadUids() override;
  bool survives_restart() const override { return true; }

 private:
  SqliteJobStore(std::unique_ptr<Connection> connection, const base::Clock& clock,
                 int64_t cache_bytes);
  // Runs `read` on the thread and waits.
  template <typename Answer>
  absl::StatusOr<Answer> Load(const std::function<absl::StatusOr<Answer>(Queries&)>& read);

  const base::Clock& clock_;
  const std::unique_ptr<Connection> connection_;
  const std::unique_ptr<SnapshotCache> cache_;
  std::unique_ptr<CatalogueThread> thread_;  // ends first: it uses both
};

}  // namespace polyak::storage
