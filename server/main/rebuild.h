#pragma once

#include "server/main/options.h"

namespace polyak::server {

// Makes the catalogue of a data directory anew from the traces in it, and prints what became of
// each. The old catalogue is kept beside it. Returns the exit code: 0, or 1 with the reason on
// stderr, and then the old catalogue is where it was; or, if the disk failed while it was replaced,
// no server starts there until this is run once more.
int Rebuild(const RebuildCommand& command);

}  // namespace polyak::server
