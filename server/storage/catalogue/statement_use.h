#pragma once

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <optional>
#include <string>

namespace polyak::storage {

// A string that is bound as a blob.
struct Blob {
  const std::string& bytes;
};

// One use of a prepared statement: bound from the first parameter on, and ready for the next use at
// the end, whatever happens. Throws SQLite::Exception: inside Connection::Try only.
class StatementUse {
 public:
  // Text and blobs are borrowed until the end of the use.
  template <typename... Values>
  explicit StatementUse(SQLite::Statement& statement, const Values&... values)
      : statement_(statement) {
    int index = 0;
    (Bind(++index, values), ...);
  }
  ~StatementUse();
  StatementUse(const StatementUse&) = delete;
  StatementUse& operator=(const StatementUse&) = delete;

  // Returns whether there is a row, whose columns can then be read.
  bool Step() { return statement_.executeStep(); }
  int64_t Int(int column) const { return statement_.getColumn(column).getInt64(); }
  std::string Bytes(int column) const { return statement_.getColumn(column).getString(); }
  bool IsNull(int column) const { return statement_.isColumnNull(column); }

 private:
  void Bind(int index, int64_t value) { statement_.bind(index, value); }
  void Bind(int index, const std::string& text) { statement_.bindNoCopy(index, text); }
  void Bind(int index, const Blob& blob);
  void Bind(int index, const std::optional<uint32_t>& value);  // none: NULL

  SQLite::Statement& statement_;
};

}  // namespace polyak::storage
