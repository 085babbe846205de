#pragma once

#include <cmath>

namespace zt {

inline double silu(double x) { return x / (1 + std::exp(-x)); }

// The tanh form of GELU (arXiv 1606.08415), as torch's approximate="tanh".
inline double gelu_tanh(double x) {
  constexpr double kSqrt2OverPi = 0.7978845608028654;
  return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x)));
}

}  // namespace zt
