#include "server/storage/catalogue/statement_use.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

TEST(StatementUse, BindsByTypeAndGivesTheSameBack) {
  SQLite::Database database(":memory:");
  SQLite::Statement echo(database, "SELECT ?, ?, ?, ?, ?, typeof(?2), typeof(?3)");
  const std::string text = "'; DROP TABLE jobs; --";
  const std::string blob("\0\xff", 2);
  StatementUse use(echo, int64_t{1} << 62, text, Blob{blob}, std::optional<uint32_t>(0xffffffffu),
                   std::optional<uint32_t>());
  ASSERT_TRUE(use.Step());
  EXPECT_EQ(use.Int(0), int64_t{1} << 62);
  EXPECT_EQ(use.Bytes(1), text);
  EXPECT_EQ(use.Bytes(2), blob);
  EXPECT_EQ(use.Int(3), 0xffffffff);
  EXPECT_FALSE(use.IsNull(3));
  EXPECT_TRUE(use.IsNull(4));
  EXPECT_EQ(use.Bytes(5), "text");
  EXPECT_EQ(use.Bytes(6), "blob");
  EXPECT_FALSE(use.Step());
}

TEST(StatementUse, LeavesTheStatementReadyAlsoAfterAnError) {
  SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("CREATE TABLE t (k INTEGER PRIMARY KEY)");
  SQLite::Statement insert(database, "INSERT INTO t VALUES (?)");
  StatementUse(insert, int64_t{1}).Step();
  EXPECT_THROW(StatementUse(insert, int64_t{1}).Step(), SQLite::Exception);
  StatementUse(insert, int64_t{2}).Step();
  EXPECT_EQ(database.execAndGet("SELECT COUNT(*) FROM t").getInt(), 2);
}

}  // namespace
}  // namespace polyak::storage
