#pragma once

namespace polyak::cli {

// The program `polyak`: parses the command line, runs one command, answers its exit code.
int Run(int argument_count, char** arguments);

}  // namespace polyak::cli
