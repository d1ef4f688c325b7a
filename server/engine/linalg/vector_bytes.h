#pragma once

#include <span>

#include "server/base/bytes.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// A vector as exact bits: its length, then its values.
inline void SaveVector(const Vector& vector, base::ByteSink& out) {
  out.WriteDoubles({vector.data(), static_cast<size_t>(vector.size())});
}

// Into a vector of the right length; fails if the stored length is another. Allocates nothing.
inline void LoadVector(base::ByteSource& in, Vector& vector) {
  in.ReadDoubles({vector.data(), static_cast<size_t>(vector.size())});
}

}  // namespace polyak::engine
