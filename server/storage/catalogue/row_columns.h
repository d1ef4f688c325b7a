#pragma once

#include "server/storage/catalogue/job_row.h"
#include "server/storage/catalogue/statement_use.h"

namespace polyak::storage {

// The columns of a JobRow, without its spec, for the front of a SELECT; what comes behind them
// starts at kRowColumns.
#define POLYAK_ROW_COLUMNS "sequence, name, uid, ended, cancel_requested, spec_crc, crc, form"
constexpr int kRowColumns = 8;

// The same with the spec, for the front of a SELECT ... FROM jobs.
#define POLYAK_SELECT_JOB \
  "SELECT " POLYAK_ROW_COLUMNS ", (SELECT spec FROM specs WHERE specs.sequence = jobs.sequence)"
// Where SQLite finds a row by an index, it may read the index's columns from there; a damaged name
// would not show. So the row is found first, and then read as a whole.
#define POLYAK_FROM_JOBS_BY_NAME \
  " FROM jobs WHERE sequence = (SELECT sequence FROM jobs WHERE name = ?)"

struct SequencedRow {
  int64_t sequence = 0;
  JobRow row;
};
// Of the row that a SELECT of these columns is at. Throws SQLite::Exception.
SequencedRow ReadRow(const StatementUse& select);
// Of the row that a POLYAK_SELECT_JOB is at. A spec that is missing is an empty one, with a wrong
// CRC. Throws likewise.
SequencedRow ReadWholeRow(const StatementUse& select);

}  // namespace polyak::storage
