#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace polyak::base {

// Takes bytes in order. Values are written as they lie in memory, little-endian: the formats that
// use it are read on the machines that write them (x86-64 and its like).
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Never fails: a sink that can keeps its first error for whoever owns it.
  virtual void Write(std::string_view bytes) = 0;

  void WriteInt(int64_t value);
  void WriteDouble(double value);  // its bits, NaN payloads included
  // A count, then the bits.
  void WriteDoubles(std::span<const double> values);
  // A count, then the bytes.
  void WriteString(std::string_view text);
};

// Gives the same bytes back. After the first error integers and doubles are 0, or the least
// allowed, strings are empty, and what spans hold is undefined: the caller checks status() once, at
// the end, and before trusting a count.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills all of `out`.
  virtual void Read(std::span<char> out) = 0;
  // Whether every byte was read.
  virtual bool at_end() const = 0;
  // OK until a read failed or went beyond the end, or Fail was called.
  const absl::Status& status() const { return status_; }
  void Fail(absl::Status status);

  int64_t ReadInt();
  double ReadDouble();
  // Fails unless the stored count is values.size().
  void ReadDoubles(std::span<double> values);
  // Fails if it is longer than `size_max`.
  std::string ReadString(int64_t size_max);
  // An integer within a range; fails, and gives `least`, if it is outside.
  int64_t ReadIntWithin(int64_t least, int64_t most);
  // Fail with DataLoss, naming `what` it is, unless these very bits come next: for what the reader
  // knows already and the bytes must agree with.
  void ExpectInt(int64_t value, std::string_view what);
  void ExpectDouble(double value, std::string_view what);

 private:
  absl::Status status_;
};

// A string as sink and as source.
class StringSink : public ByteSink {
 public:
  void Write(std::string_view bytes) override { bytes_.append(bytes); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class StringSource : public ByteSource {
 public:
  explicit StringSource(std::string_view bytes) : rest_(bytes) {}  // borrows them
  void Read(std::span<char> out) override;
  bool at_end() const override { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace polyak::base
