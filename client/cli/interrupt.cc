#include "client/cli/interrupt.h"

#include <pthread.h>
#include <unistd.h>
#include <csignal>

#include <thread>

namespace polyak::cli {
namespace {

constexpr int kInterruptedExitCode = 130;

}  // namespace

std::stop_token InterruptToken() {
  // Signals are taken by a thread of their own: a handler may not touch a stop_source.
  static std::stop_source& source = []() -> std::stop_source& {
    static auto& stop = *new std::stop_source();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([signals] {
      int signal = 0;
      sigwait(&signals, &signal);
      stop.request_stop();
      sigwait(&signals, &signal);
      _exit(kInterruptedExitCode);
    }).detach();
    return stop;
  }();
  return source.get_token();
}

}  // namespace polyak::cli
