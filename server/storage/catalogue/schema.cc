#include "server/storage/catalogue/schema.h"

#include <SQLiteCpp/Transaction.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace polyak::storage {
namespace {

// Blobs come last in their row, so that what stands before them is read without them. The numbers
// of a spec have a table of their own, so that a change of state does not write them again.
constexpr char kVersion1[] = R"sql(
CREATE TABLE jobs (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  uid TEXT NOT NULL UNIQUE,
  ended INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL,
  spec_crc INTEGER,
  crc INTEGER NOT NULL,
  form BLOB NOT NULL
) STRICT;
CREATE INDEX unfinished_jobs ON jobs (ended) WHERE ended = 0;
CREATE INDEX ended_jobs ON jobs (ended) WHERE ended > 0;
CREATE TABLE specs (
  sequence INTEGER PRIMARY KEY,
  spec BLOB NOT NULL
) STRICT;
CREATE TABLE requests (
  request_id TEXT PRIMARY KEY,
  payload_sha256 BLOB NOT NULL,
  sequence INTEGER NOT NULL,
  name TEXT NOT NULL,
  expiry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_expiry ON requests (expiry);
CREATE TABLE tombstones (
  name TEXT PRIMARY KEY,
  expiry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_expiry ON tombstones (expiry);
)sql";

// Which jobs name which data set.
constexpr char kVersion2[] = R"sql(
CREATE TABLE dataset_uses (
  dataset TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (dataset, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_uses_by_job ON dataset_uses (sequence);
)sql";

// Entry k leads from version k to k + 1.
constexpr const char* kMigrations[] = {kVersion1, kVersion2};
static_assert(sizeof(kMigrations) / sizeof(kMigrations[0]) == kCatalogueVersion);

int Ask(SQLite::Database& database, const char* question) {
  return database.execAndGet(question).getInt();
}

}  // namespace

absl::Status CheckSchema(SQLite::Database& database) {
  const int application = Ask(database, "PRAGMA application_id");
  const int version = Ask(database, "PRAGMA user_version");
  const bool is_new =
      application == 0 && version == 0 && Ask(database, "SELECT COUNT(*) FROM sqlite_schema") == 0;
  if (is_new) {
    return absl::OkStatus();
  }
  if (application != kCatalogueApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrFormat("is a database of another program (application_id 0x%08x); accepted: a "
                        "catalogue (0x%08x), or no file",
                        application, kCatalogueApplicationId));
  }
  if (version < 1 || version > kCatalogueVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("has version ", version, " of the catalogue's format, and this server knows ",
                     "versions 1 to ", kCatalogueVersion, "; accepted: a newer server"));
  }
  return absl::OkStatus();
}

void MigrateSchema(SQLite::Database& database) {
  for (int version = Ask(database, "PRAGMA user_version"); version < kCatalogueVersion; ++version) {
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    database.exec(kMigrations[version]);
    database.exec(absl::StrCat("PRAGMA application_id = ", kCatalogueApplicationId));
    database.exec(absl::StrCat("PRAGMA user_version = ", version + 1));
    transaction.commit();
  }
}

}  // namespace polyak::storage
