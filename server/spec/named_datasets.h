#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "server/engine/data/dataset.h"

namespace polyak::spec {

// The data sets that were sent to the server. Safe from any thread.
class NamedDatasets {
 public:
  virtual ~NamedDatasets() = default;
  // The data set of that name, "datasets/{id}", which stays for as long as the result or a copy of
  // it lives; nothing if there is none.
  virtual std::optional<engine::StoredDataSpec> Find(const std::string& name) const = 0;
  // Why there is none although one was sent: DataLoss if it is damaged, or what the disk says; else
  // OK.
  virtual absl::Status CheckUsable(const std::string& /*name*/) const { return absl::OkStatus(); }
};

}  // namespace polyak::spec
