#include "tests/support/random.h"

#include <cmath>

namespace zt::testing {

uint64_t Random::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

double Random::uniform() { return double(bits() >> 11) * 0x1p-53; }

float Random::normal() {
  double r = std::sqrt(-2 * std::log(1 - uniform())), a = 6.283185307179586 * uniform();
  return float(r * std::cos(a));
}

}  // namespace zt::testing
