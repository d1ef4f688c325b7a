#include "server/storage/catalogue/job_row.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "server/base/bytes.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"
#include "server/storage/explicit_numbers.h"
#include "server/storage/job_store_rules.h"

namespace polyak::storage {
namespace {

absl::Status Damaged(const JobRow& row, const char* what) {
  return absl::DataLossError(
      absl::StrCat(row.name, ": its ", what, " in the catalogue is damaged"));
}

absl::StatusOr<std::shared_ptr<v1::TrainingJob>> Parse(const JobRow& row) {
  auto job = std::make_shared<v1::TrainingJob>();
  // The CRC goes first: it says so of any flipped bit, parsing only of some.
  if (row.crc != CrcOf(row) || !job->ParseFromString(row.form) || job->name() != row.name ||
      job->uid() != row.uid) {
    return Damaged(row, "row");
  }
  return job;
}

}  // namespace

JobRow MakeJobRow(const v1::TrainingJob& job) {
  JobRow row;
  row.name = job.name();
  row.uid = job.uid();
  row.ended = EndMicros(job);
  v1::TrainingJob form = job;
  if (form.has_spec() && ClearExplicitNumbers(*form.mutable_spec())) {
    row.spec = job.spec().SerializeAsString();
    row.spec_crc = base::MaskCrc(base::Crc32c(row.spec));
  }
  row.form = form.SerializeAsString();
  return row;
}

uint32_t CrcOf(const JobRow& row) {
  base::StringSink rest;
  rest.WriteString(row.name);
  rest.WriteString(row.uid);
  rest.WriteInt(row.ended);
  rest.WriteInt(row.cancel_requested ? 1 : 0);
  rest.WriteInt(row.spec_crc.has_value() ? int64_t{*row.spec_crc} : -1);
  return base::MaskCrc(base::Crc32c(rest.bytes(), base::Crc32c(row.form)));
}

absl::StatusOr<JobSnapshot> ParseForm(const JobRow& row) { return Parse(row); }

absl::StatusOr<JobSnapshot> ParseJob(const JobRow& row) {
  POLYAK_ASSIGN_OR_RETURN(const std::shared_ptr<v1::TrainingJob> job, Parse(row));
  if (row.spec_crc.has_value() && (*row.spec_crc != base::MaskCrc(base::Crc32c(row.spec)) ||
                                   !job->mutable_spec()->ParseFromString(row.spec))) {
    return Damaged(row, "spec");
  }
  return job;
}

}  // namespace polyak::storage
