// Attention as it is defined: per query, logits of the kept keys, softmax, weighted sum. Double arithmetic.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/api/attention.h"
#include "kernels/core/parallel.h"
#include "kernels/ref/ref.h"

namespace zt {
namespace {

class RefAttention final : public AttentionExecutor {
 public:
  std::string_view name() const override { return "ref"; }
  std::string why_not(const AttentionPlan& plan, const AttentionProblem&, const ExecContext&) const override {
    return plan.has_linear() ? "has no linear part" : "";
  }
  size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    return thread_bytes(plan, p) * size_t(std::max(1, ctx.threads));
  }

  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void* workspace,
           const ExecContext& ctx) const override {
    ZT_CHECK(plan.model_heads() == 0 || plan.model_heads() == p.heads);
    ZT_CHECK(a.q.dim(2) == plan.nq() && a.k.dim(2) == plan.nk() && a.v.dim(2) == plan.nk() && a.out.dim(2) == plan.nq());
    parallel_for(ctx.threads, p.batch * p.heads * plan.nq(), [&](int64_t i) {
      Row r{plan, p, a, i / (p.heads * plan.nq()), i / plan.nq() % p.heads, i % plan.nq(), nullptr, nullptr, nullptr};
      r.logits = reinterpret_cast<double*>(static_cast<char*>(workspace) + thread_bytes(plan, p) * size_t(thread_index()));
      r.out = r.logits + plan.nk();
      r.keep = reinterpret_cast<uint8_t*>(r.out + p.head_dim);
      double lse = r.run();
      if (a.lse) a.lse.as<float>()[i] = float(lse);
    });
  }

 private:
  static size_t thread_bytes(const AttentionPlan& plan, const AttentionProblem& p) {
    return size_t(plan.nk() + p.head_dim) * 8 + size_t(plan.nk() + 63) / 64 * 64;
  }

  struct Row {
    const AttentionPlan& plan;
    const AttentionProblem& p;
    const AttentionArgs& a;
    int64_t b, h, q;
    double *logits, *out;
    uint8_t* keep;

    double load(const TensorView& t, int64_t n, int64_t c) const {
      return double(load_float(t.data, p.dtype, b * t.stride(0) + h * t.stride(1) + n * t.stride(2) + c));
    }
    double bias(int64_t key) const {
      const PlanParts& parts = plan.parts();
      if (parts.k_bias.empty()) return 0;
      int set = parts.k_order.set_of(h);
      int64_t slot = set < 0 ? key : parts.k_order.inverse[size_t(set * plan.nk() + key)];
      auto next = std::upper_bound(plan.k_starts().begin(), plan.k_starts().end(), slot);
      return double(parts.k_bias[size_t(next - plan.k_starts().begin() - 1)]);
    }

    double run() {
      double scale = p.scale != 0 ? double(p.scale) : 1 / std::sqrt(double(p.head_dim));
      double most = -std::numeric_limits<double>::infinity();
      plan.expand_row(h, q, {keep, size_t(plan.nk())});
      for (int64_t k = 0; k < plan.nk(); ++k) {
        if (!keep[k]) continue;
        double dot = 0;
        for (int64_t c = 0; c < p.head_dim; ++c) dot += load(a.q, q, c) * load(a.k, k, c);
        logits[k] = dot * scale + bias(k);
        most = std::max(most, logits[k]);
      }
      double sum = 0, shift = std::isinf(most) && most < 0 ? 0 : most;
      std::fill(out, out + p.head_dim, 0.0);
      for (int64_t k = 0; k < plan.nk(); ++k) {
        if (!keep[k]) continue;
        double w = std::exp(logits[k] - shift);
        sum += w;
        for (int64_t c = 0; c < p.head_dim; ++c) out[c] += w * load(a.v, k, c);
      }
      int64_t at = b * a.out.stride(0) + h * a.out.stride(1) + q * a.out.stride(2);
      for (int64_t c = 0; c < p.head_dim; ++c) store_float(a.out.data, p.dtype, at + c, sum == 0 ? 0.f : float(out[c] / sum));
      return shift + std::log(sum);
    }
  };
};

}  // namespace

void add_ref_attention(OpTable& table) { table.attention.push_back(std::make_shared<RefAttention>()); }

}  // namespace zt
