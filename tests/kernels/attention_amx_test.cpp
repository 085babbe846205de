// The tile-matrix body with its tiles emulated, so that its walk, layout and pipeline are tested on machines without
// such a unit. Needs the bf16 instructions of the vector part.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/attention/fetcher.h"
#include "kernels/cpu/attention/linear.h"
#include "tests/kernels/attention_support.h"
#include "tests/kernels/plan_random.h"

#pragma GCC diagnostic push
// GCC's AVX-512 headers read undefined vectors on purpose and warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512cd,avx512bf16,prefer-vector-width=512")

namespace zt::cpu_attention {
namespace emulated_tiles {
namespace {

#include "kernels/cpu/attention/avx512_vec.inc"
#include "kernels/cpu/attention/bf16_vec.inc"

struct Tiles {
  inline static thread_local uint32_t tile[8][16][16];
  static void configure() { memset(tile, 0x7f, sizeof tile); }
  static void release() { memset(tile, 0x7f, sizeof tile); }
  template <int T>
  static void zero() {
    memset(tile[T], 0, sizeof tile[T]);
  }
  template <int T>
  static void load(const void* p, int64_t row) {
    for (int r = 0; r < 16; ++r) memcpy(tile[T][r], static_cast<const char*>(p) + r * row * 4, 64);
  }
  template <int T>
  static void store(float* p, int64_t row) {
    for (int r = 0; r < 16; ++r) memcpy(p + r * row, tile[T][r], 64);
  }
  // C += A * B: the row of a pair product is a broadcast dword of A and a row of B, as in tdpbf16ps.
  template <int C, int A, int B>
  static void dot() {
    for (int r = 0; r < 16; ++r) {
      __m512 sum = _mm512_loadu_ps(tile[C][r]);
      for (int k = 0; k < 16; ++k) sum = Vec::mul_add(_mm512_set1_epi32(int(tile[A][r][k])), _mm512_loadu_si512(tile[B][k]), sum);
      _mm512_storeu_ps(tile[C][r], sum);
    }
  }
};

#include "kernels/cpu/attention/amx_body.inc"

}  // namespace
}  // namespace emulated_tiles

namespace {
const TileKernel kEmulated{"emulated_tiles",
                           Isa::avx512_bf16,
                           false,
                           2,
                           64,
                           16,
                           32,
                           emulated_tiles::pack,
                           emulated_tiles::attend_with_tiles,
                           emulated_tiles::state_with_tiles,
                           emulated_tiles::sum_states,
                           emulated_tiles::make_matrix};
}  // namespace
}  // namespace zt::cpu_attention

#pragma GCC pop_options
#pragma GCC diagnostic pop

namespace zt::testing {
namespace {

class EmulatedTiles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (detect_isa() < Isa::avx512_bf16) GTEST_SKIP() << "needs AVX-512 BF16";
  }
  std::shared_ptr<const AttentionExecutor> executor_ = cpu_attention::make_executor(cpu_attention::kEmulated);
};

TEST_F(EmulatedTiles, AnyShape) {
  for (auto [nq, nk, d] : std::vector<std::array<int64_t, 3>>{
           {70, 70, 64}, {130, 257, 128}, {5, 2, 12}, {33, 300, 80}, {64, 64, 33}, {100, 31, 384}}) {
    AttentionShape s{1, 2, nq, nk, d};
    AttentionInputs in(s, DType::bf16, true, uint64_t(nq + nk));
    PlanPtr plan = AttentionPlan::dense(nq, nk);
    expect_accurate(run_attention(*plan, in, Isa::avx512_bf16, {.executor = executor_.get()}), *plan, in, s.str());
  }
}

TEST_F(EmulatedTiles, RandomListsAndReferencesThatOverflow) {
  for (uint64_t i = 0; i < 6; ++i) {
    AttentionShape s{1, 2, 150, 300, 64};
    AttentionInputs in(s, DType::bf16, true, i);
    for (int64_t n = 200; n < 300; ++n) {
      for (int64_t c = 0; c < 64; ++c) in.set(in.args.k, 0, 1, n, c, in.get(in.args.k, 0, 1, n, c) * 60);
    }
    PlanPtr plan = random_plan(s, 2, 64, i % 2 ? 64 : 24, 0.6, true, i);
    if (i >= 3) plan = with_masks_orders_and_head_map(*plan, 2, i);
    expect_accurate(run_attention(*plan, in, Isa::avx512_bf16, {.executor = executor_.get()}), *plan, in,
                    fmt::format("case {}", i));
  }
}

TEST_F(EmulatedTiles, BlockMassAndLinearParts) {
  Random random(73);
  for (uint64_t i = 0; i < 60; ++i) {
    AttentionShape s{1, 2, 0, 0, i % 10 == 9 ? 136 : 8 + random.below(90)};
    PlanParts parts = random_parts(random, {.max_tokens = 200, .heads = s.heads});
    if (i % 2)
      parts.linear = LinearPart{
          i % 4 == 1 ? LinearScope::global : LinearScope::complement, FeatureMap::softmax, i % 3 == 0, Blend::sum, {}, {}, {}};
    PlanPtr plan = must(AttentionPlan::make(std::move(parts)));
    s.nq = plan->nq(), s.nk = plan->nk();
    AttentionInputs in(s, DType::bf16, false, i);
    AttentionOptions o{.threads = 1, .mass = true, .executor = executor_.get()};
    // A kernel's bound for one result alone; the random plans of attention_random_test.cpp have the close ones.
    expect_accurate(run_attention(*plan, in, Isa::avx512_bf16, o), expectation(*plan, in, o), DType::bf16,
                    fmt::format("case {}: {}", i, s.str()), o, 5e-4);
  }
}

}  // namespace
}  // namespace zt::testing
