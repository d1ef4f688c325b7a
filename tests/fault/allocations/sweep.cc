#include "tests/fault/allocations/sweep.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/check.h"

namespace polyak::testing_support {
namespace {

constexpr unsigned kHangSeconds = 60;

// Power is never lost here, so memory serves as a disk.
std::string MakeFolder() {
  const bool has_memory = std::filesystem::is_directory("/dev/shm");
  std::string path = has_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string();
  path += "/polyak-test-XXXXXX";
  POLYAK_CHECK(mkdtemp(path.data()) != nullptr);
  return path;
}

// Steps in memory that children share.
class SharedSteps {
 public:
  SharedSteps()
      : memory_(mmap(nullptr, sizeof(Steps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0)) {
    POLYAK_CHECK(memory_ != MAP_FAILED);
    steps_ = new (memory_) Steps();
  }
  ~SharedSteps() { munmap(memory_, sizeof(Steps)); }
  SharedSteps(const SharedSteps&) = delete;
  SharedSteps& operator=(const SharedSteps&) = delete;
  Steps& operator*() const { return *steps_; }

 private:
  void* const memory_;
  Steps* steps_;
};

// What is thrown here would be caught by gtest, and the child go on as another parent.
[[noreturn]] void RunChild(const std::string& folder, Scenario& scenario, Steps& steps,
                           const FailurePlan& plan, int errors) noexcept {
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(errors, STDERR_FILENO);
  alarm(kHangSeconds);
  scenario.Prepare(folder);
  {
    const FailingAllocations armed(plan);
    scenario.Run(steps);
  }
  const bool any_failed = FailingAllocations::any_failed();
  scenario.CheckLive(steps);
  steps.SetEnd(any_failed);
  _exit(0);
}

// How a child ended.
struct End {
  int signal = 0;
  std::string errors;  // what it had to say
};

std::string ReadAll(int file) {
  std::array<char, 4096> bytes = {};
  const ssize_t count = pread(file, bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<size_t>(std::max<ssize_t>(count, 0))};
}

End RunInChild(const std::string& folder, Scenario& scenario, Steps& steps,
               const FailurePlan& plan) {
  std::fflush(stdout);
  const int errors = memfd_create("errors", MFD_CLOEXEC);
  POLYAK_CHECK(errors >= 0);
  const pid_t child = fork();
  POLYAK_CHECK(child >= 0);
  if (child == 0) {
    RunChild(folder, scenario, steps, plan, errors);
  }
  int status = 0;
  POLYAK_CHECK(waitpid(child, &status, 0) == child);
  End end = {WIFSIGNALED(status) ? WTERMSIG(status) : 0, ReadAll(errors)};
  close(errors);
  return end;
}

// For want of memory, and not since something else was wrong by then. A destructor that needed some
// while std::bad_alloc was on its way leaves no name of it.
bool GaveUp(const End& end) {
  return end.signal == SIGABRT &&
         (end.errors.find("std::bad_alloc") != std::string::npos ||
          end.errors.find("terminate called without an active exception") != std::string::npos);
}

}  // namespace

void Steps::Complain(std::string_view what) {
  if (complaint_[0] == '\0') {
    const size_t size = std::min(what.size(), complaint_.size() - 1);
    std::memcpy(complaint_.data(), what.data(), size);
  }
}

void Steps::CheckRefusal(size_t step, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kNotFound:  // here and below: a step before was refused
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      break;
    default: {
      std::array<char, 400> text = {};
      std::snprintf(text.data(), text.size(), "step %zu: %.*s", step,
                    static_cast<int>(status.message().size()), status.message().data());
      Complain(text.data());
    }
  }
  if (!FailingAllocations::any_failed()) {
    Complain("a step was refused although no allocation had failed");
  }
}

void SweepAllocations(std::string_view name, const std::function<std::unique_ptr<Scenario>()>& make,
                      FailurePlan::Whose whose, int64_t stride) {
  if (std::getenv("POLYAK_ALLOCATIONS") != nullptr) {
    stride = 1;
  }
  for (const auto which : {FailurePlan::Which::kOne, FailurePlan::Which::kAllFromThen}) {
    int64_t exits = 0;
    int64_t runs = 0;
    bool through = false;
    for (int64_t nth = 1; !through && !::testing::Test::HasFailure(); nth += stride) {
      const std::string folder = MakeFolder();
      const SharedSteps shared;
      Steps& steps = *shared;
      const End end = RunInChild(folder, *make(), steps, {nth, whose, which});
      SCOPED_TRACE(absl::StrCat("allocation ", nth, ", ",
                                which == FailurePlan::Which::kOne ? "alone" : "and all behind it"));
      EXPECT_TRUE(end.signal == 0 || GaveUp(end))
          << (end.signal == SIGALRM ? "it hangs" : strsignal(end.signal)) << "\n"
          << end.errors;
      EXPECT_EQ(steps.complaint(), "");
      EXPECT_TRUE(end.signal != 0 || steps.ended()) << "the child exited";
      make()->CheckReopened(folder, steps);
      exits += end.signal == 0 ? 0 : 1;
      through = steps.ended() && !steps.any_failed();
      runs += through ? 0 : 1;
      std::filesystem::remove_all(folder);
    }
    if (runs == 0) {
      continue;
    }
    std::printf("%s, %s, %s: %ld allocations failed, %ld of them ended the process\n",
                std::string(name.data(), name.size()).c_str(),
                whose == FailurePlan::Whose::kProcess ? "any thread" : "the caller's thread",
                which == FailurePlan::Which::kOne ? "one" : "all from one on",
                static_cast<long>(runs), static_cast<long>(exits));
  }
}

}  // namespace polyak::testing_support
