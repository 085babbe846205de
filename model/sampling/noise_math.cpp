#include "model/sampling/noise_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace zt {
namespace {

double polynomial(double x, std::initializer_list<double> highest_first) {
  double y = 0;
  for (double c : highest_first) y = y * x + c;
  return y;
}

// Horner with one rounding a step, as fused hardware does it.
float fused_polynomial(float x, std::initializer_list<float> highest_first) {
  auto c = highest_first.begin();
  float y = *c;
  while (++c != highest_first.end()) y = std::fma(y, x, *c);
  return y;
}

// Cephes logf: x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln 2 in two parts.
float cephes_log(float x) {
  constexpr float kSqrtHalf = 0.707106781186547524f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  uint32_t bits = std::bit_cast<uint32_t>(x);
  float e = float(int(bits >> 23) - 126);
  float m = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);  // [1/2, 1)
  float r = m - 1;
  if (m < kSqrtHalf) e -= 1, r += m;
  float rr = r * r;
  float y = fused_polynomial(r, {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                 -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f});
  y = std::fma(y * r, rr, e * kLn2Low);
  y = std::fma(-rr, 0.5f, y);
  return std::fma(e, kLn2High, r + y);
}

// Cephes sinf and cosf: octant, then pi/4 subtracted in three parts.
void cephes_sincos(float x, float* sin, float* cos) {
  int octant = (int(x * 1.27323954473516f) + 1) & ~1;
  float y = float(octant);
  float r = std::fma(y, -0.78515625f, x);
  r = std::fma(y, -2.4187564849853515625e-4f, r);
  r = std::fma(y, -3.77489497744594108e-8f, r);
  float rr = r * r;
  float even = fused_polynomial(rr, {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f});
  even = std::fma(even * rr, rr, -(rr * 0.5f)) + 1;
  float odd = fused_polynomial(rr, {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f});
  odd = std::fma(odd * rr, r, r);
  bool swap = (octant & 2) != 0;
  *sin = swap ? even : odd;
  *cos = swap ? odd : even;
  if (octant & 4) *sin = -*sin;
  if ((octant + 2) & 4) *cos = -*cos;
}

}  // namespace

double portable_log(double x) {
  int e = 0;
  double m = std::frexp(x, &e);  // exact; [1/2, 1)
  if (m < 0.70710678118654752440) m *= 2, --e;
  double t = (m - 1) / (m + 1), tt = t * t;  // |t| <= 0.1716: 12 terms reach 2^-55
  double series =
      polynomial(tt, {1. / 23, 1. / 21, 1. / 19, 1. / 17, 1. / 15, 1. / 13, 1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3, 1.});
  return double(e) * 0.69314718055994530942 + 2 * t * series;
}

SinCos portable_sincos(double turns) {
  int quarter = int(turns * 4 + 0.5);
  double x = (turns - quarter * 0.25) * 6.28318530717958647693, xx = x * x;  // |x| <= pi / 4
  double s = x * polynomial(xx, {1. / 355687428096000, -1. / 1307674368000, 1. / 6227020800, -1. / 39916800, 1. / 362880,
                                 -1. / 5040, 1. / 120, -1. / 6, 1.});
  double c = polynomial(
      xx, {1. / 20922789888000, -1. / 87178291200, 1. / 479001600, -1. / 3628800, 1. / 40320, -1. / 720, 1. / 24, -1. / 2, 1.});
  switch (quarter & 3) {
    case 0: return {s, c};
    case 1: return {c, -s};
    case 2: return {-s, -c};
    default: return {-c, s};
  }
}

NormalPair torch_box_muller(float u1, float u2) {
  constexpr float kTwoPi = 6.28318530717958647693f;
  float radius = std::sqrt(-2 * cephes_log(u1)), sin = 0, cos = 0;
  cephes_sincos(kTwoPi * u2, &sin, &cos);
  return {radius * cos, radius * sin};
}

}  // namespace zt
