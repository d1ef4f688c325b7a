#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/base/file_system.h"
#include "server/storage/catalogue/sqlite_job_store.h"

namespace polyak::storage {

// The replacement of a data directory's catalogue by one that is made beside it, under the name
// catalogue.db.rebuilt: docs/decisions/rebuild.md. At every moment of it, power lost included, the
// directory has the whole old catalogue under its name, or the whole new one, or
// catalogue.db.rebuilt and no catalogue.db; the last is what CheckCatalogueInPlace refuses, and
// OpenRebuilt and ReplaceCatalogue, begun once more, end. Every call wants the directory locked by
// this process, and no catalogue of it open.

// Whether a server may open the catalogue of a directory, or begin one there.
// Errors: FailedPrecondition where a replacement was cut off before its end, or where there are
// traces and no catalogue: a new one would know none of their jobs; those of the disk.
absl::Status CheckCatalogueInPlace(base::FileSystem& files, const std::string& directory);

// Whether the catalogue that is there is no loss: there is none, or it can't be read.
// Errors: FailedPrecondition if it can be read, also where SQLite finds damage in it, which the
// text then says; or if nobody knows whether it can.   Cost: all of the file.
absl::Status CheckReplaceable(base::FileSystem& files, const base::Clock& clock,
                              const std::string& directory);

// An empty catalogue beside the one that is there, which is not touched; what a replacement that
// was cut off has made is begun anew. Destroyed when the jobs are in it.
// Errors: as SqliteJobStore::Open.
absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenRebuilt(base::FileSystem& files,
                                                            const base::Clock& clock,
                                                            const std::string& directory);

// Puts the catalogue of OpenRebuilt, which was closed, in the place of what is there. That is kept,
// with its log, as catalogue.db.old-N; returns this name, or an empty string if there was nothing.
// Errors: FailedPrecondition if there is no closed new catalogue, and nothing has changed then;
// those of the disk.   Cost: a copy of the log.
absl::StatusOr<std::string> ReplaceCatalogue(base::FileSystem& files, const std::string& directory);

}  // namespace polyak::storage
