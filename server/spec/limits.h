#pragma once

#include <cstdint>
#include <limits>

namespace polyak::spec {

class NamedDatasets;

// What a server accepts; above it a request is refused, never cut down. Published by GetServerInfo.
struct Limits {
  int64_t max_iterations = 1'000'000'000;
  int64_t max_dimension = 10'000'000;    // of a quadratic given by its spectrum
  int64_t max_matrix_dimension = 8'192;  // of a quadratic with a full matrix
  int64_t max_examples = 100'000;
  int64_t max_input_dimension = 100'000;
  int64_t max_output_dimension = 10'000;
  int64_t max_width = 1'000'000'000;
  int64_t max_depth = 1'000;
  double max_duration_seconds = 24 * 3600;
  double memory_bytes = 4e9;  // of all jobs together
  // Of a job before its first record, which nothing interrupts: some hours.
  double setup_operations = 1e14;
  // Of the files of all jobs together.
  double disk_bytes = std::numeric_limits<double>::infinity();
  // Those that a spec can name beside the built-in ones; outlives whoever parses. Null: none.
  const NamedDatasets* datasets = nullptr;
};

}  // namespace polyak::spec
