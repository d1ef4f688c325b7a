#include "server/storage/catalogue/queries.h"

#include <limits>
#include <utility>

#include "server/base/status_macros.h"
#include "server/storage/catalogue/row_columns.h"
#include "server/storage/catalogue/statement_use.h"
#include "server/storage/job_store_rules.h"

namespace polyak::storage {
namespace {

#define POLYAK_SELECT_ROW "SELECT " POLYAK_ROW_COLUMNS

}  // namespace

// An index is named where nothing but it will do: a query that could not use it fails at once.
Queries::Queries(Connection& connection, std::function<void(absl::Status)> on_damage)
    : connection_(connection),
      on_damage_(std::move(on_damage)),
      find_job_(connection.database(), POLYAK_SELECT_JOB POLYAK_FROM_JOBS_BY_NAME),
      find_job_by_sequence_(connection.database(),
                            POLYAK_SELECT_JOB " FROM jobs WHERE sequence = ?"),
      find_tombstone_(connection.database(),
                      "SELECT 1 FROM tombstones WHERE name = ? AND expiry > ?"),
      find_request_(connection.database(),
                    "SELECT payload_sha256, sequence, name FROM requests "
                    "WHERE request_id = ? AND expiry > ?"),
      list_(connection.database(),
            POLYAK_SELECT_ROW " FROM jobs WHERE sequence < ? ORDER BY sequence DESC LIMIT ?"),
      list_ended_(connection.database(), POLYAK_SELECT_ROW
                  " FROM jobs INDEXED BY ended_jobs WHERE ended > 0 ORDER BY ended, sequence"),
      find_dataset_use_(connection.database(),
                        "SELECT COUNT(*), MIN(name) FROM dataset_uses JOIN jobs USING (sequence) "
                        "WHERE dataset = ?"),
      load_unfinished_(connection.database(), POLYAK_SELECT_JOB
                       " FROM jobs INDEXED BY unfinished_jobs WHERE ended = 0 ORDER BY sequence"),
      load_uids_(connection.database(), "SELECT uid FROM jobs") {}

absl::StatusOr<JobSnapshot> Queries::Noted(absl::StatusOr<JobSnapshot> answer) {
  if (absl::IsDataLoss(answer.status()) && on_damage_ != nullptr &&
      damage_noted_.insert(std::string{answer.status().message()}).second) {
    on_damage_(answer.status());
  }
  return answer;
}

absl::StatusOr<JobSnapshot> Queries::Get(const std::string& name, absl::Time now) {
  return Noted(connection_.Try([&]() -> absl::StatusOr<JobSnapshot> {
    StatementUse find(find_job_, name);
    if (find.Step()) {
      return ParseJob(ReadWholeRow(find).row);
    }
    return NoJob(StatementUse(find_tombstone_, name, absl::ToUnixMicros(now)).Step());
  }));
}

absl::StatusOr<JobSnapshot> Queries::FindRequest(const std::string& request_id,
                                                 const std::string& payload_sha256,
                                                 absl::Time now) {
  return Noted(connection_.Try([&]() -> absl::StatusOr<JobSnapshot> {
    StatementUse request(find_request_, request_id, absl::ToUnixMicros(now));
    if (!request.Step()) {
      return JobSnapshot();
    }
    const std::string name = request.Bytes(2);
    if (request.Bytes(0) != payload_sha256) {
      return RequestIdReused(request_id, name);
    }
    StatementUse job(find_job_by_sequence_, request.Int(1));
    if (!job.Step()) {
      return RequestJobRemoved(request_id, name);
    }
    return ParseJob(ReadWholeRow(job).row);
  }));
}

absl::StatusOr<bool> Queries::ListSome(ListPage& page, int64_t rows_max, ListResult& result) {
  return connection_.Try([&]() -> absl::StatusOr<bool> {
    const int64_t before = page.before > 0 ? page.before : std::numeric_limits<int64_t>::max();
    StatementUse rows(list_, before, rows_max);
    int64_t count = 0;
    for (; rows.Step(); ++count) {
      const SequencedRow row = ReadRow(rows);
      page.before = row.sequence;
      const auto job = Noted(ParseForm(row.row));
      if (!job.ok() || !page.matches(**job)) {
        continue;
      }
      if (static_cast<int64_t>(result.jobs.size()) == page.size) {
        result.next_before = row.sequence + 1;
        return true;
      }
      result.jobs.push_back(*job);
    }
    return count < rows_max;
  });
}

absl::StatusOr<ListResult> Queries::ListEnded(int64_t limit) {
  return connection_.Try([&]() -> absl::StatusOr<ListResult> {
    ListResult result;
    StatementUse rows(list_ended_);
    while (static_cast<int64_t>(result.jobs.size()) < limit && rows.Step()) {
      if (auto job = Noted(ParseForm(ReadRow(rows).row)); job.ok()) {
        result.jobs.push_back(*std::move(job));
      }
    }
    return result;
  });
}

absl::StatusOr<DatasetUse> Queries::FindDatasetUse(const std::string& dataset) {
  return connection_.Try([&]() -> absl::StatusOr<DatasetUse> {
    StatementUse use(find_dataset_use_, dataset);
    use.Step();
    const int64_t jobs = use.Int(0);
    return DatasetUse{jobs, jobs == 0 ? "" : use.Bytes(1)};
  });
}

absl::StatusOr<std::vector<StoredJob>> Queries::LoadUnfinished() {
  return connection_.Try([&]() -> absl::StatusOr<std::vector<StoredJob>> {
    std::vector<StoredJob> unfinished;
    StatementUse rows(load_unfinished_);
    while (rows.Step()) {
      const JobRow row = ReadWholeRow(rows).row;
      if (auto job = Noted(ParseJob(row)); job.ok()) {
        unfinished.push_back({*std::move(job), row.cancel_requested});
      }
    }
    return unfinished;
  });
}

absl::StatusOr<std::vector<std::string>> Queries::LoadUids() {
  return connection_.Try([&]() -> absl::StatusOr<std::vector<std::string>> {
    std::vector<std::string> uids;
    StatementUse rows(load_uids_);
    while (rows.Step()) {
      uids.push_back(rows.Bytes(0));
    }
    return uids;
  });
}

}  // namespace polyak::storage
