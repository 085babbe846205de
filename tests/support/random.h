// Deterministic inputs of tests; needs nothing else of them.
#pragma once

#include <cstdint>

namespace zt::testing {

// splitmix64 and Box-Muller: the same numbers on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  double uniform();             // [0, 1)
  float normal();
  int64_t below(int64_t n) { return int64_t(bits() % uint64_t(n)); }

 private:
  uint64_t state_;
};

}  // namespace zt::testing
