// Words that a warp executes together on matrices: operands of 32 lanes are gathered, the matrices computed once, results
// scattered.
#include "kernels/cuda/common/hw.cuh"

namespace zt::hw::host {
namespace {

template <bool BF16>
float element(uint32_t pair, int half) {
  auto bits = uint16_t(half ? pair >> 16 : pair);
  return BF16 ? to_float(Bf16{bits}) : to_float(F16{bits});
}

struct MmaOperand {
  F4* c;
  U4 a;
  uint32_t b[2];
};

template <bool BF16>
void multiply(void* const* all) {
  float left[16][16], right[16][8], sum[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& o = *static_cast<MmaOperand*>(all[lane]);
    const uint32_t regs[4] = {o.a.x, o.a.y, o.a.z, o.a.w};
    const float acc[4] = {o.c->x, o.c->y, o.c->z, o.c->w};
    for (int i = 0; i < 8; ++i) {
      auto [r, k] = cuda_host::mma_a(lane, i);
      left[r][k] = element<BF16>(regs[i / 2], i % 2);
    }
    for (int i = 0; i < 4; ++i) {
      auto [k, n] = cuda_host::mma_b(lane, i);
      right[k][n] = element<BF16>(o.b[i / 2], i % 2);
      auto [r, col] = cuda_host::mma_c(lane, i);
      sum[r][col] = acc[i];
    }
  }
  for (int r = 0; r < 16; ++r) {
    for (int k = 0; k < 16; ++k) {
      for (int n = 0; n < 8; ++n) sum[r][n] += left[r][k] * right[k][n];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    F4& out = *static_cast<MmaOperand*>(all[lane])->c;
    auto get = [&](int i) {
      auto [r, col] = cuda_host::mma_c(lane, i);
      return sum[r][col];
    };
    out = {get(0), get(1), get(2), get(3)};
  }
}

}  // namespace

void mma(bool is_bf16, F4& c, U4 a, uint32_t b0, uint32_t b1, const Loc& at) {
  MmaOperand mine{&c, a, {b0, b1}};
  auto& m = machine();
  void* const* all = m.meet(is_bf16 ? "mma bf16" : "mma f16", &mine, at);
  if (!all) return;
  m.traffic().add(cuda_host::Port::product, at, 1, 1);
  if (is_bf16) multiply<true>(all);
  else multiply<false>(all);
  m.part();
}

U4 ldsm(bool transposed, saddr a, const Loc& at) {
  struct Operand {
    saddr a;
    U4 out;
  } mine{a, {}};
  auto& m = machine();
  void* const* all = m.meet(transposed ? "ldsm4t" : "ldsm4", &mine, at);
  if (!all) return mine.out;
  uint16_t matrices[4][8][8];
  uint64_t waves = 0;
  for (int j = 0; j < 4; ++j) {
    std::array<uint64_t, 32> address{};
    for (int r = 0; r < 8; ++r) {
      int lane = cuda_host::ldsm_address_lane(j, r);
      saddr row = static_cast<Operand*>(all[lane])->a;
      std::memcpy(matrices[j][r], m.matrix_row(row, int(m.thread() / 32 * 32) + lane, at), 16);
      address[size_t(r)] = row.at;
    }
    waves += cuda_host::bank_waves(address, 0xff, 16);
  }
  m.traffic().add(cuda_host::Port::matrix, at, waves, 4);
  for (int lane = 0; lane < 32; ++lane) {
    uint32_t regs[4];
    for (int j = 0; j < 4; ++j) {
      auto get = [&](int i) {
        auto [r, c] = cuda_host::ldsm(lane, i, transposed);
        return uint32_t(matrices[j][r][c]);
      };
      regs[j] = get(0) | get(1) << 16;
    }
    static_cast<Operand*>(all[lane])->out = {regs[0], regs[1], regs[2], regs[3]};
  }
  m.part();
  return mine.out;
}

}  // namespace zt::hw::host
