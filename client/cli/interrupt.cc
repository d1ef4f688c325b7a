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
  std::atomic<bool> waits_for_job = false;
};

[[noreturn]] void EndNow(bool waits_for_job) {
  const std::string_view text =
      waits_for_job ? "polyak: interrupted; jobs go on\n" : "polyak: interrupted\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
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
        EndNow(taken.waits_for_job);
      }
      taken.stop.request_stop();
      sigwait(&signals, &signal);
      EndNow(taken.waits_for_job);
    }).detach();
    return taken;
  }();
  return interrupts;
}

}  // namespace

void TakeInterrupts() { TakenInterrupts(); }

void WaitForJob() { TakenInterrupts().waits_for_job = true; }

std::stop_token InterruptToken() {
  WaitForJob();
  TakenInterrupts().somebody_listens = true;
  return TakenInterrupts().stop.get_token();
}

}  // namespace polyak::cli
