// A data race on purpose, compiled only for ThreadSanitizer: if it is not reported, a clean run of
// the other tests says nothing. See docs/decisions/thread-sanitizer.md.
//
//   planted_race threads           two threads increment a counter without a lock
//   planted_race handlers          two handlers of a gRPC callback service do
//   planted_race locked_handlers   the same with a lock: nothing to report

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/base/mutex.h"

namespace {

// Not in one function with its caller: the report has to name it.
__attribute__((noinline)) void IncrementWithoutLock(int64_t& counter) { ++counter; }

// Lets `count` arrivals go at once, so that the increments overlap. Relaxed on purpose: anything
// stronger would order them and there would be no race. Gives up waiting after a while, since gRPC
// may call all handlers from one thread.
class LooseBarrier {
 public:
  explicit LooseBarrier(int count) : count_(count) {}

  void Arrive() {
    arrived_.fetch_add(1, std::memory_order_relaxed);
    for (int spin = 0; spin < 100'000; ++spin) {
      if (arrived_.load(std::memory_order_relaxed) >= count_) return;
      std::this_thread::yield();
    }
  }

 private:
  const int count_;
  std::atomic<int> arrived_ = 0;
};

void RaceInThreads() {
  int64_t counter = 0;
  LooseBarrier barrier(2);
  const auto work = [&] {
    barrier.Arrive();
    for (int i = 0; i < 1'000; ++i) IncrementWithoutLock(counter);
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  std::printf("counter %s of 2000\n", std::to_string(counter).c_str());
}

struct Shared {
  LooseBarrier barrier{2};
  const bool locked;
  polyak::base::Mutex mutex;
  int64_t counter = 0;
};

// Accepts any method; counts when the call's one message has been read.
//
// gRPC hands a reactor from thread to thread by means ThreadSanitizer does not see, so a reactor
// that is watched by it has a lock, and each callback starts by taking it: that is the order in
// which its own fields are passed on. Between two reactors it orders nothing.
class CountingReactor : public grpc::ServerGenericBidiReactor {
 public:
  explicit CountingReactor(Shared& shared) : shared_(shared) {
    const polyak::base::MutexLock lock(&mutex_);
    StartRead(&request_);
  }

  void OnReadDone(bool /*ok*/) override {
    { const polyak::base::MutexLock lock(&mutex_); }
    shared_.barrier.Arrive();
    for (int i = 0; i < 1'000; ++i) {
      if (shared_.locked) {
        const polyak::base::MutexLock lock(&shared_.mutex);
        ++shared_.counter;
      } else {
        IncrementWithoutLock(shared_.counter);
      }
    }
    Finish(grpc::Status::OK);
  }

  void OnDone() override {
    { const polyak::base::MutexLock lock(&mutex_); }
    delete this;
  }

 private:
  polyak::base::Mutex mutex_;
  Shared& shared_;
  grpc::ByteBuffer request_;
};

class CountingService : public grpc::CallbackGenericService {
 public:
  explicit CountingService(Shared& shared) : shared_(shared) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new CountingReactor(shared_);
  }

 private:
  Shared& shared_;
};

// One call on a channel of its own; returns its status.
grpc::Status Call(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  grpc::GenericStub stub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, "/planted.Race/Count", request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

// Returns the exit code: 0 if every call came through.
int CountInHandlers(bool locked) {
  Shared shared{.locked = locked};
  CountingService service(shared);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  const std::string target = "127.0.0.1:" + std::to_string(port);
  std::vector<std::thread> callers;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] { failures += Call(target).ok() ? 0 : 1; });
  }
  for (std::thread& caller : callers) caller.join();
  server->Shutdown();
  server->Wait();
  std::printf("counter %s of 8000, %d calls failed\n", std::to_string(shared.counter).c_str(),
              failures.load());
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 2 ? argv[1] : "";
  if (mode == "threads") {
    RaceInThreads();
  } else if (mode == "handlers") {
    return CountInHandlers(/*locked=*/false);
  } else if (mode == "locked_handlers") {
    return CountInHandlers(/*locked=*/true);
  } else {
    std::fprintf(stderr, "usage: planted_race threads, handlers or locked_handlers\n");
    return 2;
  }
  return 0;
}
