#include "server/storage/catalogue/row_columns.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

TEST(ReadRow, ReadsEachColumnIntoItsField) {
  SQLite::Database database(":memory:");
  SQLite::Statement select(
      database, "SELECT " POLYAK_ROW_COLUMNS
                ", 'behind' FROM (SELECT 7 AS sequence, 'n' AS name, 'u' AS uid, 5 AS ended, "
                "1 AS cancel_requested, ?1 AS spec_crc, 4294967295 AS crc, x'00ff' AS form)");
  StatementUse use(select, std::optional<uint32_t>(3));
  ASSERT_TRUE(use.Step());
  const SequencedRow read = ReadRow(use);
  EXPECT_EQ(read.sequence, 7);
  EXPECT_EQ(read.row.name, "n");
  EXPECT_EQ(read.row.uid, "u");
  EXPECT_EQ(read.row.ended, 5);
  EXPECT_TRUE(read.row.cancel_requested);
  EXPECT_EQ(read.row.spec_crc, 3u);
  EXPECT_EQ(read.row.crc, 0xffffffffu);
  EXPECT_EQ(read.row.form, std::string("\0\xff", 2));
  EXPECT_EQ(use.Bytes(kRowColumns), "behind");
}

}  // namespace
}  // namespace polyak::storage
