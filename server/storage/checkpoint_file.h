#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/bytes.h"
#include "server/base/file_system.h"
#include "server/storage/checkpoint.h"

namespace polyak::storage {

// One checkpoint file, as docs/formats/checkpoint.md has it: a header with its own CRC, which holds
// length and CRC of the payload behind it.

// Of the payload.
struct CheckpointPayload {
  int64_t offset = 0;  // in the file: the size of the header
  int64_t size = 0;
  uint32_t crc = 0;
};

// Bytes of the header of `head`.
int64_t CheckpointHeaderSize(const CheckpointHead& head);
std::string EncodeCheckpointHeader(const CheckpointHead& head, const CheckpointPayload& payload);

struct CheckpointHeader {
  CheckpointHead head;
  CheckpointPayload payload;
};
// Errors: DataLoss if it is not a whole header of this version, or if the file is not as long as it
// says; those of the file system.   Cost: one read of up to 4 kB.
absl::StatusOr<CheckpointHeader> ReadCheckpointHeader(const base::File& file);

// Streams to a file from an offset on, and sums up what it streamed.
class FileSink : public base::ByteSink {
 public:
  FileSink(base::File& file, int64_t offset) : file_(file), start_(offset), end_(offset) {}
  void Write(std::string_view bytes) override;
  // Writes what is still held back. Returns the first error of all writes.
  absl::Status Finish();
  // What was written, once Finish said OK.
  CheckpointPayload payload() const { return {start_, end_ - start_, crc_}; }

 private:
  void WriteThrough(std::string_view bytes);

  base::File& file_;
  const int64_t start_;
  int64_t end_;
  uint32_t crc_ = 0;
  std::string held_;  // small writes, joined
  absl::Status status_;
};

// Streams a payload from a file; fails at its last byte if its CRC is wrong.
class FileSource : public base::ByteSource {
 public:
  FileSource(std::unique_ptr<base::File> file, const CheckpointPayload& payload)
      : file_(std::move(file)), payload_(payload) {}
  void Read(std::span<char> out) override;
  bool at_end() const override { return given_ == payload_.size; }

 private:
  void Fill();

  const std::unique_ptr<base::File> file_;
  const CheckpointPayload payload_;
  int64_t given_ = 0;  // bytes of the payload handed out
  int64_t read_ = 0;   // bytes of it that came from the file
  uint32_t crc_ = 0;   // of those
  std::vector<char> buffer_;
  size_t buffered_from_ = 0;  // in buffer_: the first byte not handed out yet
};

// Reads the payload once and compares its CRC.
// Errors: DataLoss; those of the file system.
absl::Status VerifyCheckpointPayload(const base::File& file, const CheckpointPayload& payload);

}  // namespace polyak::storage
