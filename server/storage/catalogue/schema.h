#pragma once

#include <SQLiteCpp/Database.h>

#include <cstdint>

#include "absl/status/status.h"

namespace polyak::storage {

// The version of the tables that this program writes, in PRAGMA user_version;
// docs/formats/catalogue.md has them all.
constexpr int kCatalogueVersion = 2;
// PRAGMA application_id of a catalogue: "Plyk".
constexpr int32_t kCatalogueApplicationId = 0x506c796b;

// Whether the tables are ours, of a version that this program knows. Changes nothing.
// Errors: FailedPrecondition for another program's tables or a newer version.
// Throws SQLite::Exception: inside Connection::Try only.
absl::Status CheckSchema(SQLite::Database& database);
// Makes the tables, or brings older ones to the newest version, a transaction a version. After
// CheckSchema. Throws likewise.
void MigrateSchema(SQLite::Database& database);

}  // namespace polyak::storage
