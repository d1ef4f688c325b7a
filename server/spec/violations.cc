#include "server/spec/violations.h"

#include <utility>

namespace polyak::spec {

void Violations::Add(std::string field, std::string description) {
  ++count_;
  if (kept_.size() < kKept) {
    kept_.push_back({std::move(field), std::move(description)});
  }
}

}  // namespace polyak::spec
