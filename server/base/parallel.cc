#include "server/base/parallel.h"

#include <algorithm>
#include <exception>
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
    for (int part = 1; part < parts; ++part) {
      others.emplace_back(run, part);
    }
    if (parts > 0) {
      run(0);
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
