#include "server/storage/catalogue/statement_use.h"

namespace polyak::storage {

StatementUse::~StatementUse() {
  statement_.tryReset();  // an error of the last step is known already
}

void StatementUse::Bind(int index, const Blob& blob) {
  statement_.bindNoCopy(index, blob.bytes.data(), static_cast<int>(blob.bytes.size()));
}

void StatementUse::Bind(int index, const std::optional<uint32_t>& value) {
  if (value.has_value()) {
    statement_.bind(index, int64_t{*value});
  } else {
    statement_.bind(index);
  }
}

}  // namespace polyak::storage
