#include "tests/cuda/words/expected.h"

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/core/dtype.h"
#include "tests/cuda/words/rows.h"
#include "tests/support/cuda_host/layouts.h"

namespace zt::testing {
namespace {

using namespace cuda_host;

constexpr const char* kNames[kProbeOuts] = {
    "mma bf16 d0", "mma bf16 d1", "mma bf16 d2", "mma bf16 d3", "mma f16 d0",  "mma f16 d1",   "mma f16 d2", "mma f16 d3",
    "ldsm4 r0",    "ldsm4 r1",    "ldsm4 r2",    "ldsm4 r3",    "ldsm4t r0",   "ldsm4t r1",    "ldsm4t r2",  "ldsm4t r3",
    "shfl_xor",    "shfl",        "shfl_up",     "any",         "ballot",      "cp_async16",   "cp_async16 of nothing",
    "pack bf16",   "pack f16",    "from_float bf16", "from_float f16", "to_float bf16", "to_float f16",
    "exp2",        "log2",        "rcp",         "rsqrt",       "sqrt",        "div",          "fma",        "max",
    "min",         "popc",        "lds 2 bytes", "lds 8 bytes", "lds 16 bytes", "atomic_add_shared", "block and grid index"};

int left(int r, int k) { return (r * 7 + k * 3) % 11 - 5; }
int right(int k, int n) { return (k * 5 + n * 2) % 9 - 4; }
int start(int r, int n) { return r - 2 * n; }

uint32_t pair(float low, float high, DType t) {
  auto bits = [&](float x) { return t == DType::bf16 ? bf16(x).bits : f32_to_f16(x); };
  return uint32_t(bits(low)) | uint32_t(bits(high)) << 16;
}

}  // namespace

ProbeCase probe_case() {
  ProbeCase c;
  c.in.resize(kProbeIns * 32), c.want.resize(kProbeOuts * 32), c.tolerance.resize(kProbeOuts);
  for (int row : {kExp2, kLog2, kRcp, kRsqrt}) c.tolerance[size_t(row)] = 0x1p-21;
  std::vector<float> x(32), y(32);
  for (int l = 0; l < 32; ++l) x[size_t(l)] = 0.37f * float(l - 15) + 0.011f, y[size_t(l)] = 1.7f - 0.21f * float(l);
  for (int l = 0; l < 64; ++l) c.chunks.push_back({uint32_t(100 + l), uint32_t(200 + l), uint32_t(300 + l), uint32_t(400 + l)});
  for (int l = 0; l < 32; ++l) {
    auto in = [&](int row) -> uint32_t& { return c.in[size_t(row * 32 + l)]; };
    auto want = [&](int row) -> uint32_t& { return c.want[size_t(row * 32 + l)]; };
    auto want_float = [&](int row, float v) { want(row) = std::bit_cast<uint32_t>(v); };
    auto a = [&](int i) { return float(left(mma_a(l, i).row, mma_a(l, i).column)); };
    auto b = [&](int i) { return float(right(mma_b(l, i).row, mma_b(l, i).column)); };
    for (int r = 0; r < 4; ++r) {
      in(kA + r) = pair(a(2 * r), a(2 * r + 1), DType::bf16), in(kAHalf + r) = pair(a(2 * r), a(2 * r + 1), DType::f16);
    }
    for (int r = 0; r < 2; ++r) {
      in(kB + r) = pair(b(2 * r), b(2 * r + 1), DType::bf16), in(kBHalf + r) = pair(b(2 * r), b(2 * r + 1), DType::f16);
    }
    for (int i = 0; i < 4; ++i) {
      auto [r, n] = mma_c(l, i);
      in(kC + i) = std::bit_cast<uint32_t>(float(start(r, n)));
      int sum = start(r, n);
      for (int k = 0; k < 16; ++k) sum += left(r, k) * right(k, n);
      want_float(kMmaBf16 + i, float(sum)), want_float(kMmaF16 + i, float(sum));
    }
    for (int j = 0; j < 4; ++j) {
      auto element = [&](int i, bool transposed) {
        auto [r, col] = ldsm(l, i, transposed);
        return uint32_t(ldsm_address_lane(j, r) * 8 + col);
      };
      want(kLdsm + j) = element(0, false) | element(1, false) << 16, want(kLdsmT + j) = element(0, true) | element(1, true) << 16;
    }
    float u = x[size_t(l)], v = y[size_t(l)], w = std::fma(u, u, 0.25f);
    in(kX) = std::bit_cast<uint32_t>(u), in(kY) = std::bit_cast<uint32_t>(v);
    want_float(kShflXor, x[size_t(l ^ 5)]), want_float(kShfl, x[size_t(l * 7 % 32)]), want_float(kShflUp, x[size_t(l < 3 ? l : l - 3)]);
    want(kAny) = 1, want(kBallot) = 0x49249249u;
    want(kCopied) = 200u + uint32_t(l ^ 1), want(kZeroed) = (l ^ 1) % 2 == 0 ? 332u + uint32_t(l ^ 1) : 0;
    want(kPackBf16) = pair(u, v, DType::bf16), want(kPackF16) = pair(u, v, DType::f16);
    want(kFromBf16) = bf16(u).bits, want(kFromF16) = f32_to_f16(u);
    want_float(kToBf16, float(bf16(u))), want_float(kToF16, f16_to_f32(f32_to_f16(u)));
    want_float(kExp2, std::exp2(u)), want_float(kLog2, std::log2(w)), want_float(kRcp, 1 / u), want_float(kRsqrt, 1 / std::sqrt(w));
    want_float(kSqrt, std::sqrt(w)), want_float(kDiv, v / u), want_float(kFma, std::fma(u, v, 1.f));
    want_float(kMax, l == 3 ? v : std::fmax(u, v)), want_float(kMin, l == 3 ? v : std::fmin(u, v));
    want(kPopc) = uint32_t(std::popcount(in(kA)));
    int other = l ^ 3;
    want(kShared2) = uint32_t(other + 40), want(kShared8) = uint32_t(other + 1), want(kShared16) = uint32_t(other + 2);
    want(kAtomicShared) = 5 + 31 * 16, want(kPlace) = 512;
    c.sum += float(l);
  }
  return c;
}

std::vector<std::string> probe_errors(const ProbeCase& c, const std::vector<uint32_t>& out, float sum) {
  std::vector<std::string> errors;
  for (int row = 0; row < kProbeOuts; ++row) {
    for (int l = 0; l < 32; ++l) {
      uint32_t got = out[size_t(row * 32 + l)], want = c.want[size_t(row * 32 + l)];
      double tolerance = c.tolerance[size_t(row)];
      float a = std::bit_cast<float>(got), b = std::bit_cast<float>(want);
      // The logarithm's error is absolute near 1.
      bool near = tolerance > 0 && std::abs(double(a) - double(b)) <= tolerance * std::fmax(1., std::abs(double(b)));
      if (got == want || near) continue;
      errors.push_back(std::string(kNames[row]) + ": lane " + std::to_string(l) + " has " + std::to_string(got) + " (" + std::to_string(a) +
                       "), not " + std::to_string(want) + " (" + std::to_string(b) + ")");
      break;
    }
  }
  if (sum != c.sum) errors.push_back("atomic_add: " + std::to_string(sum) + ", not " + std::to_string(c.sum));
  return errors;
}

}  // namespace zt::testing
