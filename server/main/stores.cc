#include "server/main/stores.h"

#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/build.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/processor_class.h"
#include "server/engine/trainer/trainer.h"
#include "server/storage/catalogue/rebuilt_catalogue.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "server/storage/file_dataset_store.h"
#include "server/storage/file_run_store.h"
#include "server/storage/memory_dataset_store.h"
#include "server/storage/memory_job_store.h"
#include "server/storage/memory_run_store.h"

namespace polyak::server {
namespace {

// The catalogue can't tell whether its last changes will last: only a new process can look.
constexpr int kBrokenExitCode = 70;

absl::Status Refusal(const std::string& data_dir, const absl::Status& status,
                     const char* accepted) {
  return absl::Status(status.code(), absl::StrCat("--data-dir is '", data_dir,
                                                  "': ", std::string{status.message()}, accepted));
}

// In a directory that `stores` holds.
absl::Status OpenInDirectory(const ServerOptions& options, const base::Clock& clock,
                             const telemetry::Logger& log, Stores& stores) {
  const std::string& data_dir = options.data_dir;
  // The directory may be new. Where its parent can't be read it was made by somebody else.
  const std::filesystem::path path = std::filesystem::absolute(data_dir + "/.").lexically_normal();
  const std::string parent = path.parent_path().parent_path();
  if (const absl::Status status = stores.files->SyncDirectory(parent);
      !status.ok() && !absl::IsPermissionDenied(status)) {
    return status;
  }
  storage::FileRunStore::Options runs;
  runs.columns = engine::kTraceColumns;
  runs.diagnostic_columns = engine::kDiagnosticColumns;
  runs.machine = {base::BuildName(), engine::ProcessorClass(), engine::FloatControl()};
  if (options.disk_mebibytes > 0) {
    runs.disk_bytes = options.disk_mebibytes << 20;
  }
  runs.reserve_bytes = options.disk_reserve_mebibytes << 20;
  POLYAK_ASSIGN_OR_RETURN(stores.runs, storage::FileRunStore::Open(*stores.files, data_dir, runs));
  storage::FileDatasetStore::Options datasets;
  datasets.data_directory = data_dir;
  datasets.reserve_bytes = runs.reserve_bytes;
  datasets.on_damage = [log](const absl::Status& status) {
    log->error("not a data set any more: {}", telemetry::Escape(std::string{status.message()}));
  };
  POLYAK_ASSIGN_OR_RETURN(stores.datasets,
                          storage::FileDatasetStore::Open(*stores.files, datasets));
  storage::SqliteJobStore::Options jobs;
  jobs.directory = data_dir;
  jobs.on_broken = [log](const absl::Status& status) {
    log->critical("the catalogue failed; this server ends so that the next one can look: {}",
                  telemetry::Escape(std::string{status.message()}));
    log->flush();
    _exit(kBrokenExitCode);
  };
  jobs.on_damage = [log](const absl::Status& status) {
    log->error("damaged: {}", telemetry::Escape(std::string{status.message()}));
  };
  POLYAK_ASSIGN_OR_RETURN(stores.jobs,
                          storage::SqliteJobStore::Open(*stores.files, clock, std::move(jobs)));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Stores> OpenStores(const ServerOptions& options, const base::Clock& clock,
                                  const telemetry::Logger& log) {
  Stores stores;
  if (options.data_dir.empty()) {
    stores.jobs = std::make_unique<storage::MemoryJobStore>(clock);
    stores.runs = std::make_unique<storage::MemoryRunStore>(engine::kTraceColumns,
                                                            engine::kDiagnosticColumns);
    stores.datasets = std::make_unique<storage::MemoryDatasetStore>();
    return stores;
  }
  constexpr char kAccepted[] =
      "; accepted: a directory on a local disk that no other polyakd uses and no newer version has "
      "written";
  auto lock = base::DirectoryLock::Acquire(options.data_dir);
  if (!lock.ok()) {
    return Refusal(options.data_dir, lock.status(), kAccepted);
  }
  stores.lock = *std::move(lock);
  stores.files = std::make_unique<base::PosixFileSystem>();
  if (const absl::Status status = storage::CheckCatalogueInPlace(*stores.files, options.data_dir);
      !status.ok()) {
    return Refusal(options.data_dir, status, "");
  }
  if (const absl::Status status = OpenInDirectory(options, clock, log, stores); !status.ok()) {
    return Refusal(options.data_dir, status, kAccepted);
  }
  return stores;
}

}  // namespace polyak::server
