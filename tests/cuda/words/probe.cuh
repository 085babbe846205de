// Every hardware word once, by one warp, on lane-coded inputs: what comes out is held against the tables of lane layouts and
// plain arithmetic (expected.h), on the host and on a device alike.
#pragma once

#include "kernels/cuda/common/hw.cuh"
#include "tests/cuda/words/rows.h"

namespace zt::testing {

struct ProbeParams {
  hw::gptr<const uint32_t> in;
  hw::gptr<uint32_t> out;
  hw::gptr<float> sum;  // added to by every lane
  hw::gptr<const hw::U4> chunks;  // 64
};

struct Probe {
  using Params = ProbeParams;
  static constexpr int kThreads = 32, kMinBlocks = 1;
  static constexpr uint32_t kShared = 4096;

  // Where row r of matrix j lies, for lane 8j + r.
  static ZT_DEVICE hw::saddr row_at(int lane) { return hw::shared() + 16 * (lane * 5 % 32); }

  static ZT_DEVICE void run(const Params& p) {
    int lane = hw::thread();
    auto in = [&](int row) { return hw::ldg(p.in + (row * 32 + lane)); };
    auto put = [&](int row, uint32_t v) { hw::stg(p.out + (row * 32 + lane), v); };
    auto put_float = [&](int row, float v) { put(row, hw::bits_of(v)); };
    auto put4 = [&](int row, hw::U4 v) { put(row, v.x), put(row + 1, v.y), put(row + 2, v.z), put(row + 3, v.w); };
    auto put_floats = [&](int row, hw::F4 v) {
      put_float(row, v.x), put_float(row + 1, v.y), put_float(row + 2, v.z), put_float(row + 3, v.w);
    };
    hw::F4 c{hw::float_of(in(kC)), hw::float_of(in(kC + 1)), hw::float_of(in(kC + 2)), hw::float_of(in(kC + 3))}, d = c;
    hw::mma16816<hw::Bf16>(c, {in(kA), in(kA + 1), in(kA + 2), in(kA + 3)}, in(kB), in(kB + 1));
    put_floats(kMmaBf16, c);
    hw::mma16816<hw::F16>(d, {in(kAHalf), in(kAHalf + 1), in(kAHalf + 2), in(kAHalf + 3)}, in(kBHalf), in(kBHalf + 1));
    put_floats(kMmaF16, d);

    // Element e of the lane's row is lane * 8 + e.
    ZT_UNROLL
    for (int e = 0; e < 4; ++e) hw::sts(row_at(lane) + 4 * e, uint32_t(lane * 8 + 2 * e) | uint32_t(lane * 8 + 2 * e + 1) << 16);
    hw::sync_warp();
    put4(kLdsm, hw::ldsm4(row_at(lane)));
    put4(kLdsmT, hw::ldsm4t(row_at(lane)));

    float x = hw::float_of(in(kX)), y = hw::float_of(in(kY));
    put_float(kShflXor, hw::shfl_xor(x, 5));
    put_float(kShfl, hw::shfl(x, lane * 7 % 32));
    put_float(kShflUp, hw::shfl_up(x, 3));
    put(kAny, uint32_t(hw::any(lane == 17)) + 2 * uint32_t(hw::any(lane > 32)));
    put(kBallot, hw::ballot(lane % 3 == 0));

    hw::saddr landed = hw::shared() + 1024;
    hw::cp_async16(landed + 16 * lane, p.chunks + lane, true);
    hw::cp_commit();
    hw::cp_async16(landed + (512 + 16 * lane), p.chunks + (32 + lane), lane % 2 == 0);
    hw::cp_commit();
    hw::cp_wait<0>();
    hw::sync_warp();
    put(kCopied, hw::lds<uint32_t>(landed + 16 * (lane ^ 1) + 4));
    put(kZeroed, hw::lds<uint32_t>(landed + (512 + 16 * (lane ^ 1) + 8)));

    put(kPackBf16, hw::pack<hw::Bf16>(x, y));
    put(kPackF16, hw::pack<hw::F16>(x, y));
    put(kFromBf16, hw::from_float<hw::Bf16>(x).bits);
    put(kFromF16, hw::from_float<hw::F16>(x).bits);
    put_float(kToBf16, hw::to_float(hw::from_float<hw::Bf16>(x)));
    put_float(kToF16, hw::to_float(hw::from_float<hw::F16>(x)));
    put_float(kExp2, hw::exp2(x));
    put_float(kLog2, hw::log2(hw::fma(x, x, 0.25f)));
    put_float(kRcp, hw::rcp(x));
    put_float(kRsqrt, hw::rsqrt(hw::fma(x, x, 0.25f)));
    put_float(kSqrt, hw::sqrt(hw::fma(x, x, 0.25f)));
    put_float(kDiv, hw::div(y, x));
    put_float(kFma, hw::fma(x, y, 1.f));
    put_float(kMax, hw::max(lane == 3 ? hw::float_of(0x7fc00000u) : x, y));
    put_float(kMin, hw::min(lane == 3 ? hw::float_of(0x7fc00000u) : x, y));
    put(kPopc, uint32_t(hw::popc(in(kA))));

    hw::saddr store = hw::shared() + 2048;
    hw::sts(store + 2 * lane, uint16_t(lane + 40));
    hw::sts(store + (256 + 8 * lane), hw::U2{uint32_t(lane), uint32_t(lane + 1)});
    hw::sts(store + (512 + 16 * lane), hw::U4{uint32_t(lane), uint32_t(lane + 1), uint32_t(lane + 2), uint32_t(lane + 3)});
    if (lane == 0) hw::sts(store + 1024, 5);
    hw::sync_warp();
    put(kShared2, hw::lds<uint16_t>(store + 2 * (lane ^ 3)));
    put(kShared8, hw::lds<hw::U2>(store + (256 + 8 * (lane ^ 3))).y);
    put(kShared16, hw::lds<hw::U4>(store + (512 + 16 * (lane ^ 3))).z);
    hw::atomic_add_shared(store + 1024, lane);
    hw::sync_warp();
    put(kAtomicShared, hw::lds<uint32_t>(store + 1024));
    hw::atomic_add(p.sum, float(lane));
    put(kPlace, uint32_t(hw::block_x() + 8 * hw::block_y() + 64 * hw::block_z() + 512 * hw::grid_x()));
  }
};

}  // namespace zt::testing
