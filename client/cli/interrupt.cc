#include "client/cli/interrupt.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>
#include <thread>

namespace polyak::cli {
namespace {

constexpr int kInterruptedExitCode = 130;

struct Interrupts {
  std::stop_source stop;
  std::atomic<bool> somebody_listens = false;
};

[[noreturn]] void EndNow() {
  constexpr std::string_view kText = "polyak: interrupted; jobs go on\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kText.data(), kText.size());
  _exit(kInterruptedExitCode);
}

// Signals are taken by a thread of their own: a handler may not touch a stop_source.
Interrupts& TakenInterrupts() {
  static Interrupts& interrupts = []() -> Interrupts& {
    static auto& taken = *new Interrupts();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([signals] {
      int signal = 0;
      sigwait(&signals, &signal);
      if (!taken.somebody_listens) {
        EndNow();
      }
      taken.stop.request_stop();
      sigwait(&signals, &signal);
      EndNow();
    }).detach();
    return taken;
  }();
  return interrupts;
}

}  // namespace

void TakeInterrupts() { TakenInterrupts(); }

std::stop_token InterruptToken() {
  TakenInterrupts().somebody_listens = true;
  return TakenInterrupts().stop.get_token();
}

}  // namespace polyak::cli
