#include "server/storage/catalogue/changes.h"

#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/storage/catalogue/row_columns.h"
#include "server/storage/catalogue/statement_use.h"
#include "server/storage/job_store_rules.h"

namespace polyak::storage {
namespace {

int64_t Micros(absl::Time time) { return absl::ToUnixMicros(time); }

}  // namespace

// The expired are forgotten in passing, more at a time than one transaction can add.
Changes::Changes(Connection& connection)
    : connection_(connection),
      find_request_(connection.database(),
                    "SELECT 1 FROM requests WHERE request_id = ? AND expiry > ?"),
      find_name_or_uid_(connection.database(), "SELECT name FROM jobs WHERE name = ? OR uid = ?"),
      find_row_(connection.database(), "SELECT " POLYAK_ROW_COLUMNS POLYAK_FROM_JOBS_BY_NAME),
      find_whole_row_(connection.database(), POLYAK_SELECT_JOB POLYAK_FROM_JOBS_BY_NAME),
      find_uid_elsewhere_(connection.database(),
                          "SELECT 1 FROM jobs WHERE uid = ? AND sequence <> ?"),
      insert_job_(connection.database(),
                  "INSERT INTO jobs (name, uid, ended, cancel_requested, spec_crc, crc, form) "
                  "VALUES (?, ?, ?, 0, ?, ?, ?)"),
      update_job_(connection.database(),
                  "UPDATE jobs SET ended = ?, spec_crc = ?, crc = ?, form = ? WHERE sequence = ?"),
      mark_cancelled_(connection.database(),
                      "UPDATE jobs SET cancel_requested = 1, crc = ? WHERE sequence = ?"),
      write_spec_(connection.database(), "INSERT OR REPLACE INTO specs VALUES (?, ?)"),
      write_request_(connection.database(),
                     "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?)"),
      write_tombstone_(connection.database(), "INSERT OR REPLACE INTO tombstones VALUES (?, ?)"),
      forget_tombstone_(connection.database(), "DELETE FROM tombstones WHERE name = ?"),
      remove_job_(connection.database(), "DELETE FROM jobs WHERE sequence = ?"),
      remove_spec_(connection.database(), "DELETE FROM specs WHERE sequence = ?"),
      write_dataset_use_(connection.database(), "INSERT INTO dataset_uses VALUES (?, ?)"),
      remove_dataset_use_(connection.database(), "DELETE FROM dataset_uses WHERE sequence = ?"),
      forget_requests_(connection.database(),
                       "DELETE FROM requests WHERE request_id IN "
                       "(SELECT request_id FROM requests WHERE expiry <= ? LIMIT 1024)"),
      forget_tombstones_(connection.database(),
                         "DELETE FROM tombstones WHERE name IN "
                         "(SELECT name FROM tombstones WHERE expiry <= ? LIMIT 1024)") {}

bool IsOfDamagedJob(const Change& change) {
  return std::holds_alternative<RemoveDamagedJob>(change);
}

absl::Status Changes::CheckIsNew(const InsertJob& insert, int64_t now) {
  if (!insert.request_id.empty() && StatementUse(find_request_, insert.request_id, now).Step()) {
    return RequestIdTaken(insert.request_id);
  }
  StatementUse same(find_name_or_uid_, insert.row.name, insert.row.uid);
  if (!same.Step()) {
    return absl::OkStatus();
  }
  return same.Bytes(0) == insert.row.name
             ? NameTaken(insert.row.name)
             : absl::AlreadyExistsError(
                   absl::StrCat("the uid of ", insert.row.name, " is that of ", same.Bytes(0)));
}

void Changes::WriteSpec(int64_t sequence, const JobRow& row) {
  if (row.spec_crc.has_value()) {
    StatementUse(write_spec_, sequence, Blob{row.spec}).Step();
  }
}

absl::Status Changes::Make(const InsertJob& insert, int64_t now) {
  POLYAK_RETURN_IF_ERROR(CheckIsNew(insert, now));
  const JobRow& row = insert.row;
  StatementUse(insert_job_, row.name, row.uid, row.ended, row.spec_crc, int64_t{CrcOf(row)},
               Blob{row.form})
      .Step();
  const int64_t sequence = connection_.database().getLastInsertRowid();
  WriteSpec(sequence, row);
  if (const std::string dataset = NamedDataset(insert.job->spec()); !dataset.empty()) {
    StatementUse(write_dataset_use_, dataset, sequence).Step();
  }
  StatementUse(forget_tombstone_, row.name).Step();
  if (!insert.request_id.empty()) {
    const int64_t expiry = now + absl::ToInt64Microseconds(kRequestLife);
    StatementUse(write_request_, insert.request_id, Blob{insert.payload_sha256}, sequence, row.name,
                 expiry)
        .Step();
  }
  return absl::OkStatus();
}

absl::Status Changes::Make(const UpdateJob& update, int64_t /*now*/) {
  SequencedRow stored;
  {
    StatementUse find(find_row_, update.row.name);
    if (!find.Step()) {
      return absl::NotFoundError(update.row.name);
    }
    stored = ReadRow(find);
  }
  if (stored.row.uid != update.row.uid) {
    return absl::NotFoundError(update.row.name);
  }
  JobRow row = update.row;
  row.cancel_requested = stored.row.cancel_requested;
  StatementUse(update_job_, row.ended, row.spec_crc, int64_t{CrcOf(row)}, Blob{row.form},
               stored.sequence)
      .Step();
  if (row.spec_crc != stored.row.spec_crc) {
    WriteSpec(stored.sequence, row);
  }
  return absl::OkStatus();
}

absl::Status Changes::Make(const CancelJob& cancel, int64_t /*now*/) {
  SequencedRow stored;
  {
    StatementUse find(find_row_, cancel.name);
    if (!find.Step()) {
      return absl::NotFoundError(cancel.name);
    }
    stored = ReadRow(find);
  }
  POLYAK_RETURN_IF_ERROR(ParseForm(stored.row).status());  // or a new CRC would hide the damage
  if (stored.row.ended == 0) {
    stored.row.cancel_requested = true;
    StatementUse(mark_cancelled_, int64_t{CrcOf(stored.row)}, stored.sequence).Step();
  }
  return absl::OkStatus();
}

absl::Status Changes::Make(const RemoveJob& remove, int64_t now) {
  int64_t sequence = 0;
  {
    StatementUse find(find_row_, remove.name);
    if (!find.Step()) {
      return absl::NotFoundError(remove.name);
    }
    const SequencedRow stored = ReadRow(find);
    POLYAK_RETURN_IF_ERROR(ParseForm(stored.row).status());  // whose it is can't be told
    if (stored.row.uid != remove.uid) {
      return absl::NotFoundError(remove.name);
    }
    sequence = stored.sequence;
  }
  TakeOut(remove.name, sequence, now);
  return absl::OkStatus();
}

void Changes::TakeOut(const std::string& name, int64_t sequence, int64_t now) {
  StatementUse(remove_job_, sequence).Step();
  StatementUse(remove_spec_, sequence).Step();
  StatementUse(remove_dataset_use_, sequence).Step();
  const int64_t expiry = now + absl::ToInt64Microseconds(kTombstoneLife);
  StatementUse(write_tombstone_, name, expiry).Step();
}

absl::StatusOr<SequencedRow> Changes::FindDamaged(const std::string& name) {
  StatementUse find(find_whole_row_, name);
  if (!find.Step()) {
    return absl::NotFoundError(name);
  }
  SequencedRow found = ReadWholeRow(find);
  if (ParseJob(found.row).ok()) {
    return absl::NotFoundError(name);
  }
  if (StatementUse(find_uid_elsewhere_, found.row.uid, found.sequence).Step()) {
    found.row.uid.clear();
  }
  return found;
}

// A damaged column may be in an index, where SQLite does not find the row's entry and gives up, or
// takes away that of another job. So it is told not to mind (which writable_schema does for a
// DELETE), and the indexes are made anew from the rows that are left.
absl::Status Changes::Make(const RemoveDamagedJob& remove, int64_t now) {
  POLYAK_ASSIGN_OR_RETURN(const SequencedRow found, FindDamaged(remove.name));
  *remove.uid = found.row.uid;
  TakeOut(remove.name, found.sequence, now);
  connection_.database().exec("REINDEX jobs");
  return absl::OkStatus();
}

void Changes::ForgetExpired(int64_t now) {
  if (forgets_expired_) {
    StatementUse(forget_requests_, now).Step();
    StatementUse(forget_tombstones_, now).Step();
  }
}

bool Changes::in_transaction() const {
  return sqlite3_get_autocommit(connection_.database().getHandle()) == 0;
}

absl::Status Changes::Attempt(const std::vector<const Change*>& changes, absl::Time now,
                              std::vector<absl::Status>& results) {
  results.clear();
  return connection_.Try([&] {
    SQLite::Transaction transaction(connection_.database(), SQLite::TransactionBehavior::IMMEDIATE);
    ForgetExpired(Micros(now));
    for (const Change* const change : changes) {
      results.push_back(
          std::visit([&](const auto& what) { return Make(what, Micros(now)); }, *change));
    }
    transaction.commit();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<absl::Status>> Changes::Commit(const std::vector<const Change*>& changes,
                                                          absl::Time now) {
  const bool is_of_damaged = IsOfDamagedJob(*changes.front());
  POLYAK_CHECK(!is_of_damaged || changes.size() == 1);
  std::vector<absl::Status> results;
  absl::Status status = WritableSchema(is_of_damaged);
  if (status.ok()) {
    status = Attempt(changes, now, results);
    if (absl::IsDataLoss(status) && !in_transaction() && forgets_expired_) {
      // SQLite writes nothing more in a transaction that has met a damaged page, whose ever that
      // was. If it was that of what has expired, this stays in the file until a next process.
      forgets_expired_ = false;
      const absl::Status without = Attempt(changes, now, results);
      forgets_expired_ = !without.ok();
      status = without;
    }
    status.Update(WritableSchema(false));
  }
  const std::string text{status.message()};
  if ((absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) && in_transaction()) {
    return absl::UnavailableError(absl::StrCat(text, "; and it could not be rolled back"));
  }
  if (absl::IsDataLoss(status) && changes.size() == 1) {
    return std::vector<absl::Status>{absl::DataLossError(
        absl::StrCat(text,
                     "; accepted: polyakd rebuild --replace, which makes another one of the "
                     "traces"))};
  }
  if (!status.ok()) {
    return status;
  }
  return results;
}

absl::Status Changes::WritableSchema(bool on) {
  if (on == has_writable_schema_) {
    return absl::OkStatus();
  }
  return connection_.Try([&] {
    connection_.database().exec(on ? "PRAGMA writable_schema = ON"
                                   : "PRAGMA writable_schema = OFF");
    has_writable_schema_ = on;
    return absl::OkStatus();
  });
}

}  // namespace polyak::storage
