#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Debian 12's Abseil has no status macros; these two are the usual pair.

// Returns the status of `expression` from the enclosing function unless it is OK.
#define POLYAK_RETURN_IF_ERROR(expression)                                \
  do {                                                                    \
    if (absl::Status polyak_status = (expression); !polyak_status.ok()) { \
      return polyak_status;                                               \
    }                                                                     \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): `result` is a name, `declaration` a declaration.
#define POLYAK_STATUS_CONCATENATE_INNER(a, b) a##b
#define POLYAK_STATUS_CONCATENATE(a, b) POLYAK_STATUS_CONCATENATE_INNER(a, b)
#define POLYAK_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                          \
  if (!(result).ok()) {                                                \
    return std::move(result).status();                                 \
  }                                                                    \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)

// POLYAK_ASSIGN_OR_RETURN(const Dataset data, MakeDataset(spec)): declares `data`, or returns the
// error.
#define POLYAK_ASSIGN_OR_RETURN(declaration, expression)                                          \
  POLYAK_ASSIGN_OR_RETURN_INNER(POLYAK_STATUS_CONCATENATE(polyak_result_, __LINE__), declaration, \
                                expression)
