#pragma once

#include <cstdio>
#include <cstdlib>

// Ends the program if `condition` is false, in release builds too. For our own mistakes only: never
// for input, disk or network, which are answered by an absl::Status.
#define POLYAK_CHECK(condition)                                                          \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
