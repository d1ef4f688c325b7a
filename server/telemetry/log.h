#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "spdlog/spdlog.h"

namespace polyak::telemetry {

using Logger = std::shared_ptr<spdlog::logger>;

// A thread-safe logger on standard error, one line an event: time (UTC), level, text. Specs and
// credentials are never logged; text that came from a client goes through Escape.
//   level: trace, debug, info, warning, error, off.
// Errors: InvalidArgument for another level, listing those.
absl::StatusOr<Logger> MakeLogger(std::string_view level);

// `text` with control bytes as \xNN, cut at 256 bytes: what a client sends cannot forge a line.
std::string Escape(std::string_view text);

}  // namespace polyak::telemetry
