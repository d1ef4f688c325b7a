#include "server/spec/parse_names.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"

namespace polyak::spec {
namespace {

const char kPrefix[] = "trainingJobs/";
const char kDatasets[] = "datasets/";
constexpr size_t kTextBytesMax = 256;
constexpr int kLabelsMax = 64;

bool IsLower(char byte) { return byte >= 'a' && byte <= 'z'; }
bool IsDigit(char byte) { return byte >= '0' && byte <= '9'; }

bool IsIdByte(char byte) { return IsLower(byte) || IsDigit(byte) || byte == '-'; }

bool IsLabelKey(const std::string& key) {
  return !key.empty() && key.size() <= 63 && IsLower(key[0]) &&
         std::all_of(key.begin(), key.end(), [](char byte) {
           return IsLower(byte) || IsDigit(byte) || byte == '_' || byte == '-';
         });
}

}  // namespace

bool IsJobId(const std::string& id) {
  return !id.empty() && id.size() <= 63 && IsLower(id.front()) && id.back() != '-' &&
         std::all_of(id.begin(), id.end(), IsIdByte);
}

std::string JobName(const std::string& id) { return kPrefix + id; }

bool CheckJobName(const std::string& name, Violations& violations) {
  if (absl::StartsWith(name, kPrefix) && IsJobId(name.substr(sizeof(kPrefix) - 1))) {
    return true;
  }
  violations.Add("name",
                 Refusal(Quoted(name),
                         "trainingJobs/{id} with an id of lower-case letters, digits and hyphens"));
  return false;
}

bool CheckDatasetName(const std::string& name, Violations& violations) {
  constexpr size_t kIdMax = 63;
  const std::string id =
      absl::StartsWith(name, kDatasets) ? name.substr(sizeof(kDatasets) - 1) : "";
  if (!id.empty() && id.size() <= kIdMax && std::all_of(id.begin(), id.end(), IsIdByte)) {
    return true;
  }
  violations.Add(
      "name",
      Refusal(Quoted(name), "datasets/{id} with an id of lower-case letters, digits and hyphens"));
  return false;
}

void CheckJobId(const std::string& id, Violations& violations) {
  if (!id.empty() && !IsJobId(id)) {
    violations.Add("training_job_id",
                   Refusal(Quoted(id), "[a-z]([a-z0-9-]{0,61}[a-z0-9])?, or empty"));
  }
}

void CheckRequestId(const std::string& request_id, Violations& violations) {
  const bool printable = std::all_of(request_id.begin(), request_id.end(),
                                     [](char byte) { return byte > 0x20 && byte < 0x7f; });
  if (request_id.size() > 64 || !printable) {
    violations.Add("request_id", Refusal(Quoted(request_id),
                                         "1 to 64 printable characters without spaces, or empty"));
  }
}

void CheckDisplayName(const std::string& display_name, Violations& violations,
                      const std::string& path) {
  if (display_name.size() > kTextBytesMax) {
    violations.Add(
        path, absl::StrCat("has ", display_name.size(), " bytes; accepted: up to ", kTextBytesMax));
  }
}

void CheckLabels(const google::protobuf::Map<std::string, std::string>& labels,
                 Violations& violations) {
  if (labels.size() > kLabelsMax) {
    violations.Add("labels",
                   absl::StrCat("has ", labels.size(), " labels; accepted: up to ", kLabelsMax));
  }
  // In the order of the keys, so that the same request gets the same refusal.
  for (const auto& [key, value] :
       std::map<std::string, std::string>(labels.begin(), labels.end())) {
    const bool is_key = IsLabelKey(key);
    if (!is_key) {
      violations.Add(
          "labels", absl::StrCat("has the key ", Quoted(key), "; accepted: [a-z][a-z0-9_-]{0,62}"));
    }
    if (value.size() > kTextBytesMax) {
      violations.Add(is_key ? absl::StrCat("labels[", key, "]") : "labels",
                     absl::StrCat("has ", value.size(), " bytes",
                                  is_key ? "" : absl::StrCat(" under ", Quoted(key)),
                                  "; accepted: up to ", kTextBytesMax));
    }
  }
}

}  // namespace polyak::spec
