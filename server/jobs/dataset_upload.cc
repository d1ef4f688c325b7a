#include "server/jobs/dataset_upload.h"

#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/time_util.h"
#include "server/base/bytes.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/storage/dataset_header.h"

namespace polyak::jobs {
namespace {

constexpr size_t kIdDigits = 40;

absl::Status Refused(const std::string& field, const std::string& description) {
  spec::Violations violations;
  violations.Add(field, description);
  return InvalidArgument(violations);
}

std::string_view BytesOf(const google::protobuf::RepeatedField<double>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          sizeof(double) * static_cast<size_t>(values.size())};
}

}  // namespace

std::string DatasetName(const std::string& sha256) {
  return absl::StrCat("datasets/", sha256.substr(0, kIdDigits));
}

int64_t DatasetBytes(int64_t examples, int64_t inputs, int64_t outputs) {
  return storage::kDatasetHeaderBytes +
         examples * (inputs + outputs) * static_cast<int64_t>(sizeof(double));
}

DatasetUpload::DatasetUpload(const v1::DatasetHeader& header, UploadRoom& room,
                             const base::Clock& clock,
                             std::unique_ptr<storage::DatasetStore::Upload> file,
                             std::function<void()> give_up)
    : header_(header),
      room_(room),
      clock_(clock),
      file_(std::move(file)),
      give_up_(std::move(give_up)),
      last_active_(clock.MonotonicSeconds()) {
  base::StringSink sizes;
  sizes.WriteInt(header_.examples());
  sizes.WriteInt(header_.input_dimension());
  sizes.WriteInt(header_.output_dimension());
  sha256_.Add(sizes.bytes());
}

DatasetUpload::~DatasetUpload() {
  file_.reset();  // before its room is given to others
  room_.Leave(*this, kept_ ? 0
                           : DatasetBytes(header_.examples(), header_.input_dimension(),
                                          header_.output_dimension()));
}

int64_t DatasetUpload::count() const {
  return header_.examples() * (header_.input_dimension() + header_.output_dimension());
}

absl::Status DatasetUpload::Add(const v1::DatasetChunk& chunk) {
  last_active_ = clock_.MonotonicSeconds();
  if (chunk.first_value() != added_) {
    return Refused(
        "chunk.first_value",
        spec::Refusal(chunk.first_value(), absl::StrCat(added_, ", the number of values before")));
  }
  if (chunk.values().empty() || chunk.values_size() > count() - added_) {
    return Refused("chunk.values",
                   absl::StrCat("has ", chunk.values_size(), " values; accepted: 1 to ",
                                count() - added_, ", what is missing of ", count()));
  }
  for (int k = 0; k < chunk.values_size(); ++k) {
    if (!std::isfinite(chunk.values(k))) {
      return Refused(absl::StrCat("chunk.values[", k, "]"),
                     spec::Refusal(chunk.values(k), "a finite number"));
    }
  }
  const std::string_view bytes = BytesOf(chunk.values());
  if (const uint32_t crc = base::Crc32c(bytes); chunk.has_crc32c() && chunk.crc32c() != crc) {
    return Refused("chunk.crc32c",
                   spec::Refusal(absl::StrFormat("0x%08x", chunk.crc32c()),
                                 absl::StrFormat("0x%08x, that of the values", crc)));
  }
  POLYAK_RETURN_IF_ERROR(WithDetails(
      file_->Append({chunk.values().data(), static_cast<size_t>(chunk.values_size())})));
  sha256_.Add(bytes);
  added_ += chunk.values_size();
  last_active_ = clock_.MonotonicSeconds();
  return absl::OkStatus();
}

absl::StatusOr<v1::StoredDataset> DatasetUpload::Finish() {
  last_active_ = std::numeric_limits<double>::infinity();  // never to be given up
  if (added_ != count()) {
    return Refused("chunk", absl::StrCat("the stream ended after ", added_,
                                         " values; accepted: ", count(), ", as the header says"));
  }
  const std::string sha256 = absl::BytesToHexString(sha256_.Finish());
  if (!header_.sha256().empty() && header_.sha256() != sha256) {
    return Refused("header.sha256", spec::Refusal(spec::Quoted(header_.sha256()),
                                                  absl::StrCat(sha256, ", that of the values")));
  }
  v1::StoredDataset dataset;
  dataset.set_name(DatasetName(sha256));
  dataset.set_sha256(sha256);
  dataset.set_examples(header_.examples());
  dataset.set_input_dimension(header_.input_dimension());
  dataset.set_output_dimension(header_.output_dimension());
  dataset.set_display_name(header_.display_name());
  *dataset.mutable_create_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      absl::ToUnixNanos(clock_.WallTime()));
  POLYAK_RETURN_IF_ERROR(room_.BeginStoring(dataset.name()));
  if (const auto same = room_.FindSame(sha256); same.has_value()) {
    room_.EndStoring(dataset.name(), nullptr);
    return *same;
  }
  const absl::Status stored = file_->Commit(dataset);
  kept_ = stored.ok();
  room_.EndStoring(dataset.name(), stored.ok() ? &dataset : nullptr);
  if (!stored.ok()) {
    return WithDetails(stored);
  }
  return dataset;
}

}  // namespace polyak::jobs
