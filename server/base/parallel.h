#pragma once

#include <functional>

namespace polyak::base {

// Calls work(0) .. work(parts - 1) at once, each on a thread of its own, work(0) on the caller's,
// and returns when all have returned; where a thread is not to be had,
// its part runs on the caller's. What any of them throws is thrown on, the first part's first.
void RunParts(int parts, const std::function<void(int part)>& work);

// How many parts pay for work that is divided freely: the processors, `most` at most.
int PartsThatPay(int most);

}  // namespace polyak::base
