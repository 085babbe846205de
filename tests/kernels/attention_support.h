// For the attention tests: problems with sentinels around every buffer, random plans, the naive same-precision version.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/api/attention.h"
#include "tests/support/testing.h"

namespace zt::testing {

struct AttentionShape {
  int64_t batch = 1, heads = 2, nq = 64, nk = 64, d = 64;
  std::string str() const;
};

// q, k, v in one interleaved buffer a token apart ([N, 3 * H * D] as the model has them), or dense [B, H, N, D] each.
// All values are representable in `dtype`; the float copies are what the references read.
class AttentionInputs {
 public:
  AttentionInputs(const AttentionShape& s, DType dtype, bool interleaved, uint64_t seed, float scale = 1.f);
  AttentionShape shape;
  DType dtype;
  AttentionArgs args;  // q, k, v and the projection only
  // The same values in f32; may point into this one.
  AttentionInputs as_f32() const;
  // Element of q, k or v.
  void set(const TensorView& t, int64_t b, int64_t h, int64_t n, int64_t c, float v);
  float get(const TensorView& t, int64_t b, int64_t h, int64_t n, int64_t c) const;

 private:
  std::unique_ptr<Arena> arena_ = std::make_unique<Arena>();
  std::vector<Tensor> buffers_;
};

struct AttentionResult {
  std::string name;         // of the executor that ran
  std::vector<float> out;   // [B, H, Nq, D]
  std::vector<float> lse;   // [B, H, Nq]
  std::vector<float> mass;  // [B, H, q blocks, k blocks], if asked for
  bool guards_intact = true;
};

struct AttentionOptions {
  int threads = 2;
  float scale = 0;
  bool out = true, lse = true, mass = false;
  std::vector<float> mass_lse = {};             // [B, H, Nq]; empty: none
  const AttentionExecutor* executor = nullptr;  // null: the one that choose_attention picks
};

// out is strided, its gaps, and the bytes before and after every result and the workspace, hold sentinels.
AttentionResult run_attention(const AttentionPlan& plan, const AttentionInputs& in, Isa isa, const AttentionOptions& o = {});
// The double-precision twin on the same values, results in f32.
AttentionResult ref_attention(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o = {});
// What anyone would write: f32 sums, std::exp, and for bf16 storage P, the operands of all products and the output rounded to
// bf16 (attention_naive.cpp).
AttentionResult naive_attention(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o = {});

// Random valid counts and lists; about `keep` of the blocks, some rows empty.
PlanPtr random_plan(const AttentionShape& s, int list_sets, int block_q, int block_k, double keep, bool bias, uint64_t seed);
// The same lists with masks on half of the blocks, tokens of some heads shuffled, and heads that share lists.
PlanPtr with_masks_orders_and_head_map(const AttentionPlan& plan, int64_t heads, uint64_t seed);
PlanPtr all_blocks_plan(int64_t nq, int64_t nk, int block_q, int block_k);

// Each instruction set of this machine above generic with each storage type, and the executor that must take it.
struct AttentionTarget {
  Isa isa;
  DType dtype;
  std::string executor;
};
std::vector<AttentionTarget> attention_targets();
std::string target_name(const ::testing::TestParamInfo<AttentionTarget>& info);

struct AttentionExpectation {
  AttentionResult right, naive;
};
AttentionExpectation expectation(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o = {});
// Fails unless `got` is as good as it must be: at most twice the error of the naive version, or rounding of the output, or
// `floor` (NMSE).
void expect_accurate(const AttentionResult& got, const AttentionExpectation& want, DType dtype, const std::string& what,
                     const AttentionOptions& o = {}, double floor = 0);
// Mean square error of the rounding of a result, relative to it.
double rounding_nmse(DType dtype);
// The same of logits, which are rounded to f32 in base 2, where the largest log-sum-exp is this.
double logit_nmse(double largest_lse);
double largest_lse(const AttentionResult& r, const AttentionOptions& o = {});
void expect_accurate(const AttentionResult& got, const AttentionPlan& plan, const AttentionInputs& in, const std::string& what,
                     const AttentionOptions& o = {});

}  // namespace zt::testing
