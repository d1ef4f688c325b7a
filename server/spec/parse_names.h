#pragma once

#include <optional>
#include <string>

#include "google/protobuf/map.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// Whether `id` is [a-z]([a-z0-9-]{0,61}[a-z0-9])?.
bool IsJobId(const std::string& id);

// "trainingJobs/{id}" of an id.
std::string JobName(const std::string& id);

// Adds a violation at `name` unless it is "trainingJobs/{id}".
bool CheckJobName(const std::string& name, Violations& violations);

// Adds a violation at `name` unless it is "datasets/{id}", its id [a-z0-9-]{1,63}.
bool CheckDatasetName(const std::string& name, Violations& violations);

// An empty one is fine: the server makes one.
void CheckJobId(const std::string& id, Violations& violations);
void CheckRequestId(const std::string& request_id, Violations& violations);
void CheckDisplayName(const std::string& display_name, Violations& violations,
                      const std::string& path = "display_name");
void CheckLabels(const google::protobuf::Map<std::string, std::string>& labels,
                 Violations& violations);

}  // namespace polyak::spec
