#pragma once

namespace polyak::engine {

// The standard normal quantile: x with P(X <= x) = p, for 0 < p < 1; relative error about 1e-15.
// Only + - * / and square roots, whose rounding IEEE 754 fixes, so that every machine gives the
// same bits. Source: Wichura, "Algorithm AS 241: the percentage points of the normal distribution",
// Applied Statistics 37 (1988).
double NormalQuantile(double probability);

// Natural logarithm of a positive normal number, error under 2 ulp, made of + - * / alone.
double PortableLog(double x);

}  // namespace polyak::engine
