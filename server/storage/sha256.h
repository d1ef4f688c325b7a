#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace polyak::storage {

// The 32 bytes of SHA-256 of `data`. Cost: about 1 ns a byte.
std::string Sha256(std::string_view data);

// The same of data that come in parts.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void Add(std::string_view data);
  // Of all that was added. Once, and last.
  std::string Finish();

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

}  // namespace polyak::storage
