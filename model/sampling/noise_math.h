// Box-Muller without the C library, whose log and sine differ between versions: sums and products of IEEE numbers only
// (the build forbids contraction), so every machine computes the same bits.
#pragma once

namespace zt {

// Natural log of x in (0, 1], within 2 ulp: x = m 2^e, log m = 2 atanh((m - 1) / (m + 1)).
double portable_log(double x);

struct SinCos {
  double sin, cos;
};
// Of 2 pi turns, turns in [0, 1]; within 2e-16.
SinCos portable_sincos(double turns);

// Box-Muller as ATen's vectorised CPU kernel rounds it: Cephes single-precision log and sincos, each product that feeds
// a sum fused. u1 in (0, 1], u2 in [0, 1). first = radius * cos, second = radius * sin.
struct NormalPair {
  float first, second;
};
NormalPair torch_box_muller(float u1, float u2);

}  // namespace zt
