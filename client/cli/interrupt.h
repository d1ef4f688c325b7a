#pragma once

#include <stop_token>

namespace polyak::cli {

// A token that Ctrl-C (SIGINT) and SIGTERM stop; a second Ctrl-C ends the program at once. The
// handler is installed at the first call.
std::stop_token InterruptToken();

}  // namespace polyak::cli
