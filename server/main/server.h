#pragma once

#include "server/main/options.h"

namespace polyak::server {

// Serves until SIGTERM or SIGINT, then drains: admission stops, health turns to NOT_SERVING,
// running jobs stop after their iteration, open watches end with UNAVAILABLE. Returns the exit
// code: 0 after a clean end, 1 if it could not start. SIGTERM and SIGINT must be blocked in every
// thread: BlockSignals first.
int Serve(const ServerOptions& options);

// Blocks SIGTERM and SIGINT in this thread and those it starts later.
void BlockSignals();

// Asks the standard health service. 0 if it says SERVING, else 1 with the reason on stderr.
int CheckHealth(const std::string& server);

}  // namespace polyak::server
