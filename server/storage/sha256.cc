#include "server/storage/sha256.h"

#include <openssl/evp.h>

#include "server/base/check.h"

namespace polyak::storage {

struct Sha256Stream::Context {
  EVP_MD_CTX* const evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
  POLYAK_CHECK(context_->evp != nullptr);
  POLYAK_CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Add(std::string_view data) {
  POLYAK_CHECK(EVP_DigestUpdate(context_->evp, data.data(), data.size()) == 1);
}

std::string Sha256Stream::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  POLYAK_CHECK(EVP_DigestFinal_ex(context_->evp, digest, &size) == 1);
  return {digest, digest + size};
}

std::string Sha256(std::string_view data) {
  Sha256Stream stream;
  stream.Add(data);
  return stream.Finish();
}

}  // namespace polyak::storage
