#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/storage/catalogue/connection.h"
#include "server/storage/catalogue/job_row.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// Reads what was committed last. One thread, that of the connection. Errors: those of JobStore, and
// DataLoss for a damaged job, Unavailable if the disk can't be read.
class Queries {
 public:
  // on_damage: told of each damaged job that is met, once.
  // Throws SQLite::Exception: inside Connection::Try only.
  Queries(Connection& connection, std::function<void(absl::Status)> on_damage);

  absl::StatusOr<JobSnapshot> Get(const std::string& name, absl::Time now);
  absl::StatusOr<JobSnapshot> FindRequest(const std::string& request_id,
                                          const std::string& payload_sha256, absl::Time now);
  // Goes on with a page: reads at most `rows_max` jobs, adds those that match to `result`, and
  // moves page.before. Returns whether the page is finished.
  // Cost: O(rows_max), without the explicit numbers of specs.
  absl::StatusOr<bool> ListSome(ListPage& page, int64_t rows_max, ListResult& result);
  absl::StatusOr<ListResult> ListEnded(int64_t limit);
  absl::StatusOr<DatasetUse> FindDatasetUse(const std::string& dataset);
  // Cost: O(number of unfinished jobs).
  absl::StatusOr<std::vector<StoredJob>> LoadUnfinished();
  absl::StatusOr<std::vector<std::string>> LoadUids();

 private:
  // Gives `answer` back; tells of the damage if it is that.
  absl::StatusOr<JobSnapshot> Noted(absl::StatusOr<JobSnapshot> answer);

  Connection& connection_;
  const std::function<void(absl::Status)> on_damage_;
  std::set<std::string> damage_noted_;
  SQLite::Statement find_job_;
  SQLite::Statement find_job_by_sequence_;
  SQLite::Statement find_tombstone_;
  SQLite::Statement find_request_;
  SQLite::Statement list_;
  SQLite::Statement list_ended_;
  SQLite::Statement find_dataset_use_;
  SQLite::Statement load_unfinished_;
  SQLite::Statement load_uids_;
};

}  // namespace polyak::storage
