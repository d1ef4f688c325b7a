#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/storage/catalogue/connection.h"
#include "server/storage/catalogue/job_row.h"
#include "server/storage/catalogue/row_columns.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// What JobStore's methods change, ready to be written.
struct InsertJob {
  JobSnapshot job;
  JobRow row;
  std::string request_id;  // empty: none
  std::string payload_sha256;
};
struct UpdateJob {
  JobSnapshot job;
  JobRow row;
};
struct CancelJob {
  std::string name;
};
struct RemoveJob {
  std::string name;
  std::string uid;
};
struct RemoveDamagedJob {
  std::string name;
  std::shared_ptr<std::string> uid;  // filled: what RemoveDamaged answers
};
using Change = std::variant<InsertJob, UpdateJob, CancelJob, RemoveJob, RemoveDamagedJob>;

// Whether it must be a transaction of its own: where the file is in disorder, SQLite commits
// nothing that comes with it.
bool IsOfDamagedJob(const Change& change);

// Writes changes. One thread, that of the connection.
class Changes {
 public:
  // Throws SQLite::Exception: inside Connection::Try only.
  explicit Changes(Connection& connection);

  // Makes the changes in one transaction, in order, and returns once it is durable: for each
  // change OK, or its own error, which is JobStore's and leaves the others alone.
  //   changes: at least one; one for which IsOfDamagedJob is true comes alone.
  //   now: for request ids and tombstones, which expire.
  // Errors: ResourceExhausted if the disk is full, DataLoss where one of several changes meets a
  // damaged page (of a single change that is its own error); then nothing was changed, and the next
  // call may succeed. All others: whether anything was changed is not known, and this must be the
  // last call. Cost: one sync of the log; to remove a damaged job, a look at every job as well.
  absl::StatusOr<std::vector<absl::Status>> Commit(const std::vector<const Change*>& changes,
                                                   absl::Time now);

 private:
  absl::Status Make(const InsertJob& insert, int64_t now);
  absl::Status Make(const UpdateJob& update, int64_t now);
  absl::Status Make(const CancelJob& cancel, int64_t now);
  absl::Status Make(const RemoveJob& remove, int64_t now);
  absl::Status Make(const RemoveDamagedJob& remove, int64_t now);
  // The row, its spec, and in their place a tombstone.
  void TakeOut(const std::string& name, int64_t sequence, int64_t now);
  // Without its uid if another job has it.  Errors: NotFound, also for one that is not damaged.
  absl::StatusOr<SequencedRow> FindDamaged(const std::string& name);
  absl::Status CheckIsNew(const InsertJob& insert, int64_t now);
  void WriteSpec(int64_t sequence, const JobRow& row);
  void ForgetExpired(int64_t now);
  bool in_transaction() const;
  absl::Status WritableSchema(bool on);
  // One transaction.
  absl::Status Attempt(const std::vector<const Change*>& changes, absl::Time now,
                       std::vector<absl::Status>& results);

  Connection& connection_;
  bool forgets_expired_ = true;
  bool has_writable_schema_ = false;
  SQLite::Statement find_request_;
  SQLite::Statement find_name_or_uid_;
  SQLite::Statement find_row_;
  SQLite::Statement find_whole_row_;
  SQLite::Statement find_uid_elsewhere_;
  SQLite::Statement insert_job_;
  SQLite::Statement update_job_;
  SQLite::Statement mark_cancelled_;
  SQLite::Statement write_spec_;
  SQLite::Statement write_request_;
  SQLite::Statement write_tombstone_;
  SQLite::Statement forget_tombstone_;
  SQLite::Statement remove_job_;
  SQLite::Statement remove_spec_;
  SQLite::Statement write_dataset_use_;
  SQLite::Statement remove_dataset_use_;
  SQLite::Statement forget_requests_;
  SQLite::Statement forget_tombstones_;
};

}  // namespace polyak::storage
