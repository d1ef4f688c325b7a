#include "server/telemetry/log.h"

#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace polyak::telemetry {

absl::StatusOr<Logger> MakeLogger(std::string_view level) {
  static constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 6> kLevels = {
      {
          {"trace", spdlog::level::trace},
          {"debug", spdlog::level::debug},
          {"info", spdlog::level::info},
          {"warning", spdlog::level::warn},
          {"error", spdlog::level::err},
          {"off", spdlog::level::off},
      }};
  for (const auto& [name, value] : kLevels) {
    if (name == level) {
      auto logger = std::make_shared<spdlog::logger>(
          "polyakd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
      logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
      logger->set_level(value);
      logger->flush_on(spdlog::level::trace);
      return logger;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log level is '", std::string(level),
                   "'; accepted: trace, debug, info, warning, error, off"));
}

std::string Escape(std::string_view text) {
  constexpr size_t kBytesMax = 256;
  std::string escaped;
  for (const char byte : text.substr(0, kBytesMax)) {
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7f || byte == '\\') {
      absl::StrAppendFormat(&escaped, "\\x%02x", value);
    } else {
      escaped += byte;
    }
  }
  if (text.size() > kBytesMax) {
    escaped += "...";
  }
  return escaped;
}

}  // namespace polyak::telemetry
