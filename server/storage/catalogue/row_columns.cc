#include "server/storage/catalogue/row_columns.h"

namespace polyak::storage {

SequencedRow ReadRow(const StatementUse& select) {
  SequencedRow result;
  JobRow& row = result.row;
  result.sequence = select.Int(0);
  row.name = select.Bytes(1);
  row.uid = select.Bytes(2);
  row.ended = select.Int(3);
  row.cancel_requested = select.Int(4) != 0;
  if (!select.IsNull(5)) {
    row.spec_crc = static_cast<uint32_t>(select.Int(5));
  }
  row.crc = static_cast<uint32_t>(select.Int(6));
  row.form = select.Bytes(7);
  return result;
}

SequencedRow ReadWholeRow(const StatementUse& select) {
  SequencedRow result = ReadRow(select);
  result.row.spec = select.Bytes(kRowColumns);
  return result;
}

}  // namespace polyak::storage
