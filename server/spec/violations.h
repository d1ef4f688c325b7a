#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"

namespace polyak::spec {

// One refused field.
struct Violation {
  std::string field;        // path from the request on: "spec.quadratic.matrix.values[3]"
  std::string description;  // what came, and what is accepted
};

// Everything that is wrong with a request: the first 50 are kept, the rest counted.
class Violations {
 public:
  static constexpr size_t kKept = 50;

  void Add(std::string field, std::string description);
  bool empty() const { return count_ == 0; }
  int64_t count() const { return count_; }
  const std::vector<Violation>& kept() const { return kept_; }

 private:
  std::vector<Violation> kept_;
  int64_t count_ = 0;
};

// What a client sent, in quotes, short enough to be sent back: an answer's details must fit into
// the metadata of HTTP/2. Cut after at most 40 bytes, between two characters of UTF-8.
std::string Quoted(const std::string& text);

// The shortest text that is this number and no other: 0.99999999 must not be shown as 1.
std::string Digits(double number);

// "is RECEIVED; accepted: ACCEPTED", the form of every description.
template <typename Received>
std::string Refusal(const Received& received, std::string accepted) {
  if constexpr (std::is_floating_point_v<Received>) {
    return absl::StrCat("is ", Digits(received), "; accepted: ", accepted);
  } else {
    return absl::StrCat("is ", received, "; accepted: ", accepted);
  }
}

}  // namespace polyak::spec
