#pragma once

#include <stop_token>

namespace polyak::cli {

// Takes SIGINT (Ctrl-C) and SIGTERM for the whole program, which then end it at once with exit code
// 130 and a word on stderr. To be called before there are other threads: a thread inherits what it
// leaves to others, and a signal that one thread does not leave ends the program by itself.
void TakeInterrupts();

// From here on the program waits for a job, and says that jobs go on when a signal ends it.
void WaitForJob();

// The same; and from the first call on, the first of those signals stops this token instead; a
// second one ends the program.
std::stop_token InterruptToken();

}  // namespace polyak::cli
