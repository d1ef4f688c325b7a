#pragma once

#include <vector>

namespace polyak::bench {

// Processor time of this process so far, all threads.
double ProcessorSeconds();
// By the wall, from some beginning.
double WallSeconds();

// values: at least one.
double Median(std::vector<double> values);

}  // namespace polyak::bench
