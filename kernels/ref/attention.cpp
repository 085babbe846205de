// Attention as it is defined: per query, logits of the kept keys, softmax, weighted sum. Double arithmetic.
#include <cmath>
#include <limits>

#include "kernels/api/attention.h"
#include "kernels/core/parallel.h"
#include "kernels/ref/ref.h"

namespace zt {
namespace {

int64_t index(const TensorView& t, int64_t b, int64_t h, int64_t n) { return b * t.stride(0) + h * t.stride(1) + n * t.stride(2); }

// fn(key, bias) for every kept key of the query block.
template <class F>
void for_each_key(const AttentionPlan& plan, int64_t list_set, int64_t q_block, F&& fn) {
  const PlanParts& p = plan.parts();
  auto block = [&](int64_t c) {
    double bias = p.k_bias.empty() ? 0 : double(p.k_bias[size_t(c)]);
    for (int64_t k = plan.k_starts()[size_t(c)]; k < plan.k_starts()[size_t(c) + 1]; ++k) fn(k, bias);
  };
  if (plan.is_dense()) {
    for (int64_t c = 0; c < p.k.count(); ++c) block(c);
    return;
  }
  size_t row = size_t(list_set * p.q.count() + q_block);
  for (int64_t i = p.row_offsets[row]; i < p.row_offsets[row + 1]; ++i) block(p.cols[size_t(i)]);
}

class RefAttention final : public AttentionExecutor {
 public:
  std::string_view name() const override { return "ref"; }
  std::string why_not(const AttentionPlan&, const AttentionProblem&, const ExecContext&) const override { return {}; }
  size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    return thread_doubles(plan, p) * sizeof(double) * size_t(std::max(1, ctx.threads));
  }

  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void* workspace, const ExecContext& ctx) const override {
    int sets = plan.parts().heads;
    ZT_CHECK(plan.is_dense() || sets == 1 || sets == p.heads);
    ZT_CHECK(a.q.dim(2) == plan.nq() && a.k.dim(2) == plan.nk() && a.v.dim(2) == plan.nk() && a.out.dim(2) == plan.nq());
    int64_t blocks = plan.parts().q.count();
    parallel_for(ctx.threads, p.batch * p.heads * blocks, [&](int64_t task) {
      int64_t bh = task / blocks, b = bh / p.heads, h = bh % p.heads, block = task % blocks;
      double* scratch = static_cast<double*>(workspace) + thread_doubles(plan, p) * size_t(thread_index());
      for (int64_t q = plan.q_starts()[size_t(block)]; q < plan.q_starts()[size_t(block) + 1]; ++q) {
        double lse = row(plan, p, a, b, h, sets == 1 ? 0 : h, block, q, scratch);
        if (a.lse) a.lse.as<float>()[bh * plan.nq() + q] = float(lse);
      }
    });
  }

 private:
  static size_t thread_doubles(const AttentionPlan& plan, const AttentionProblem& p) { return size_t(plan.nk() + p.head_dim); }

  static double row(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, int64_t b, int64_t h, int64_t set,
                    int64_t block, int64_t q, double* scratch) {
    double scale = p.scale != 0 ? double(p.scale) : 1 / std::sqrt(double(p.head_dim));
    double *out = scratch, *logits = scratch + p.head_dim;
    double most = -std::numeric_limits<double>::infinity();
    int64_t n = 0;
    for_each_key(plan, set, block, [&](int64_t k, double bias) {
      double dot = 0;
      for (int64_t c = 0; c < p.head_dim; ++c) {
        dot += double(load_float(a.q.data, p.dtype, index(a.q, b, h, q) + c)) * double(load_float(a.k.data, p.dtype, index(a.k, b, h, k) + c));
      }
      logits[n] = dot * scale + bias;
      most = std::max(most, logits[n++]);
    });
    for (int64_t c = 0; c < p.head_dim; ++c) out[c] = 0;
    double sum = 0, shift = std::isinf(most) && most < 0 ? 0 : most;
    n = 0;
    for_each_key(plan, set, block, [&](int64_t k, double) {
      double w = std::exp(logits[n++] - shift);
      sum += w;
      for (int64_t c = 0; c < p.head_dim; ++c) out[c] += w * double(load_float(a.v.data, p.dtype, index(a.v, b, h, k) + c));
    });
    for (int64_t c = 0; c < p.head_dim; ++c) store_float(a.out.data, p.dtype, index(a.out, b, h, q) + c, sum == 0 ? 0.f : float(out[c] / sum));
    return shift + std::log(sum);
  }
};

}  // namespace

void add_ref_attention(OpTable& table) { table.attention.push_back(std::make_shared<RefAttention>()); }

}  // namespace zt
