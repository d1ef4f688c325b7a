#pragma once

#include <span>

#include "server/storage/trace.h"

namespace polyak::storage {

// Adds values behind those that `summary` covers. The result depends on the values alone, not on
// how they are cut into calls.
void AddValues(std::span<const double> values, ColumnSummary& summary);

// Adds what `next` covers behind what `summary` covers.
void AddSummary(const ColumnSummary& next, ColumnSummary& summary);

}  // namespace polyak::storage
