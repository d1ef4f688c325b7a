#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "server/engine/data/dataset.h"

namespace polyak::engine {

struct BuiltInDataset {
  std::string_view name;         // "datasets/diabetes"
  std::string_view description;  // one line: what it is, how it was prepared, source and licence
  std::shared_ptr<const Dataset> data;
};

// The data sets that ship with the server, prepared (docs/data.md): datasets/diabetes (columns
// standardised, target centred), datasets/digits (64 pixels, target +1 odd, -1 even), datasets/wine
// (columns standardised, classes one-hot). Parsed once, at the first call; safe from any thread.
const std::vector<BuiltInDataset>& BuiltInDatasets();

// The one of that name, or nullptr.
const BuiltInDataset* FindBuiltInDataset(std::string_view name);

}  // namespace polyak::engine
