#include "server/base/parallel.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace polyak::base {

void RunParts(int parts, const std::function<void(int part)>& work) {
  std::vector<std::exception_ptr> thrown(static_cast<size_t>(std::max(parts, 0)));
  const auto run = [&work, &thrown](int part) {
    try {
      work(part);
    } catch (...) {
      thrown[static_cast<size_t>(part)] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    others.reserve(thrown.size());
    int begun = std::min(parts, 1);
    try {
      for (; begun < parts; ++begun) {
        others.emplace_back(run, begun);
      }
    } catch (const std::system_error&) {
      // No more threads are to be had: the rest is done here.
    }
    if (parts > 0) {
      run(0);
    }
    for (int part = begun; part < parts; ++part) {
      run(part);
    }
  }
  for (const std::exception_ptr& exception : thrown) {
    if (exception != nullptr) {
      std::rethrow_exception(exception);
    }
  }
}

int PartsThatPay(int most) {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, most);
}

}  // namespace polyak::base
