#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "server/base/file_system.h"
#include "server/storage/file_trace.h"
#include "server/storage/run_store.h"

namespace polyak::storage {

// What can still be found of the file of a trace.
struct TraceRemains {
  std::optional<std::string> description;  // if it and the header are whole
  std::optional<int64_t> first_block;      // where its blocks begin
  int64_t size = 0;                        // of the file; 0: there is none
};
// Where the header is damaged, the blocks are looked for by the heads of the first one.
// Errors: those of the disk.   Cost: with a damaged header, a read every 4,096 bytes.
absl::StatusOr<TraceRemains> LookAtRemains(base::FileSystem& files, const std::string& path,
                                           std::string_view uid, int columns);

// A repair in the file `path`.new.
class FileTraceRepair : public TraceRepair {
 public:
  // description: for a trace whose own is lost.   rows: of the job.   attempt: at the run.
  // Errors: FailedPrecondition if the file has more rows than the job; those of the disk.
  static absl::StatusOr<std::unique_ptr<TraceRepair>> Open(base::FileSystem& files,
                                                           const std::string& path,
                                                           std::string_view uid, int columns,
                                                           const TraceRemains& remains,
                                                           std::string_view description,
                                                           int64_t rows, const Attempt& attempt);
  ~FileTraceRepair() override;

  Trace& trace() override { return *trace_; }
  absl::Status Commit() override;

 private:
  FileTraceRepair(base::FileSystem& files, std::string path, Attempt attempt)
      : files_(files),
        path_(std::move(path)),
        copy_(path_ + ".new"),
        attempt_(std::move(attempt)) {}

  base::FileSystem& files_;
  const std::string path_;
  const std::string copy_;
  const Attempt attempt_;
  std::unique_ptr<FileTrace> trace_;
  bool committed_ = false;
};

}  // namespace polyak::storage
