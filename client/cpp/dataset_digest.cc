#include "client/cpp/dataset_digest.h"

#include <openssl/evp.h>

#include <array>
#include <bit>
#include <memory>

#include "absl/strings/escaping.h"

namespace polyak::client {

// Integers and doubles are hashed as they lie in memory.
static_assert(std::endian::native == std::endian::little);

bool SizesFit(const v1::DatasetHeader& header, size_t count) {
  const auto examples = static_cast<__int128>(header.examples());
  return header.examples() > 0 && header.input_dimension() > 0 && header.output_dimension() > 0 &&
         examples * (static_cast<__int128>(header.input_dimension()) + header.output_dimension()) ==
             static_cast<__int128>(count);
}

std::string DatasetDigest(const v1::DatasetHeader& header, std::span<const double> values) {
  const std::array<int64_t, 3> sizes = {header.examples(), header.input_dimension(),
                                        header.output_dimension()};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned int size = 0;
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  EVP_DigestUpdate(context.get(), sizes.data(), sizeof(sizes));
  EVP_DigestUpdate(context.get(), values.data(), values.size_bytes());
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace polyak::client
