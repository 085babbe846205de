#include "model/text/relative_bias.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace zt {

int64_t relative_bucket(int64_t delta, int64_t buckets, int64_t max_distance) {
  int64_t half = buckets / 2, exact = half / 2, base = delta > 0 ? half : 0, n = std::abs(delta);
  if (n < exact) return base + n;
  float range = float(std::log(double(max_distance) / double(exact)));
  float large = std::log(float(n) / float(exact)) / range * float(half - exact);
  return base + std::min(exact + int64_t(large), half - 1);
}

std::vector<int64_t> relative_buckets(int64_t n, int64_t buckets, int64_t max_distance) {
  std::vector<int64_t> out(static_cast<size_t>(2 * n - 1));
  for (int64_t d = -(n - 1); d < n; ++d) out[size_t(d + n - 1)] = relative_bucket(d, buckets, max_distance);
  return out;
}

}  // namespace zt
