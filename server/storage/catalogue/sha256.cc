#include "server/storage/catalogue/sha256.h"

#include <openssl/evp.h>

#include "server/base/check.h"

namespace polyak::storage {

std::string Sha256(std::string_view data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  POLYAK_CHECK(EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  return {digest, digest + size};
}

}  // namespace polyak::storage
