#pragma once

#include "server/storage/catalogue/job_row.h"
#include "server/storage/catalogue/statement_use.h"

namespace polyak::storage {

// The columns of a JobRow, without its spec, for the front of a SELECT; what comes behind them
// starts at kRowColumns.
#define POLYAK_ROW_COLUMNS "sequence, name, uid, ended, cancel_requested, spec_crc, crc, form"
constexpr int kRowColumns = 8;

struct SequencedRow {
  int64_t sequence = 0;
  JobRow row;
};
// Of the row that a SELECT of these columns is at. Throws SQLite::Exception.
SequencedRow ReadRow(const StatementUse& select);

}  // namespace polyak::storage
