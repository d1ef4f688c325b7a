#include "server/base/bytes.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace polyak::base {
namespace {

static_assert(std::endian::native == std::endian::little);

std::string_view BytesOf(std::span<const double> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

void ByteSink::WriteInt(int64_t value) {
  Write({reinterpret_cast<const char*>(&value), sizeof(value)});
}

void ByteSink::WriteDouble(double value) { Write(BytesOf({&value, 1})); }

void ByteSink::WriteDoubles(std::span<const double> values) {
  WriteInt(static_cast<int64_t>(values.size()));
  Write(BytesOf(values));
}

void ByteSink::WriteString(std::string_view text) {
  WriteInt(static_cast<int64_t>(text.size()));
  Write(text);
}

void ByteSource::Fail(absl::Status status) {
  if (status_.ok()) {
    status_ = std::move(status);
  }
}

int64_t ByteSource::ReadInt() {
  int64_t value = 0;
  Read({reinterpret_cast<char*>(&value), sizeof(value)});
  return status_.ok() ? value : 0;
}

double ByteSource::ReadDouble() { return std::bit_cast<double>(ReadInt()); }

void ByteSource::ReadDoubles(std::span<double> values) {
  const int64_t count = ReadInt();
  if (count != static_cast<int64_t>(values.size())) {
    Fail(absl::DataLossError(
        absl::StrCat("a list of ", count, " numbers where ", values.size(), " were expected")));
    return;
  }
  Read({reinterpret_cast<char*>(values.data()), values.size_bytes()});
}

std::string ByteSource::ReadString(int64_t size_max) {
  const int64_t size = ReadIntWithin(0, size_max);
  std::string text(static_cast<size_t>(size), '\0');
  Read(text);
  return status_.ok() ? text : std::string();
}

int64_t ByteSource::ReadIntWithin(int64_t least, int64_t most) {
  const int64_t value = ReadInt();
  if (status_.ok() && least <= value && value <= most) {
    return value;
  }
  Fail(absl::DataLossError(
      absl::StrCat("an integer is ", value, "; accepted: ", least, " to ", most)));
  return least;
}

void ByteSource::ExpectInt(int64_t value, std::string_view what) {
  const int64_t found = ReadInt();
  if (status_.ok() && found != value) {
    Fail(
        absl::DataLossError(absl::StrCat(std::string(what), " is ", found, "; accepted: ", value)));
  }
}

void ByteSource::ExpectDouble(double value, std::string_view what) {
  const double found = ReadDouble();
  if (status_.ok() && std::bit_cast<int64_t>(found) != std::bit_cast<int64_t>(value)) {
    Fail(absl::DataLossError(
        absl::StrFormat("%s is %.17g; accepted: %.17g", std::string(what), found, value)));
  }
}

void StringSource::Read(std::span<char> out) {
  if (!status().ok()) {
    return;
  }
  if (out.size() > rest_.size()) {
    rest_ = {};
    Fail(absl::DataLossError("the bytes end too early"));
    return;
  }
  rest_.copy(out.data(), out.size());  // memcpy may not be given the null pointer of an empty span
  rest_.remove_prefix(out.size());
}

}  // namespace polyak::base
