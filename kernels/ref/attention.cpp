// Attention as it is defined: per query, logits of the kept keys, softmax, weighted sum; then the linear part, as a weighted
// sum with weights phi(q) . phi(k). Double arithmetic.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/api/attention.h"
#include "kernels/api/checks.h"
#include "kernels/core/parallel.h"
#include "kernels/ref/ref.h"

namespace zt {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// What every row of a call shares.
struct Call {
  const AttentionPlan& plan;
  const AttentionProblem& p;
  const AttentionArgs& a;
  double* key_features;  // [B * H, Nk, D], with a linear part only

  double load(const TensorView& t, int64_t b, int64_t h, int64_t n, int64_t c) const {
    return double(load_float(t.data, p.dtype, b * t.stride(0) + h * t.stride(1) + n * t.stride(2) + c));
  }
  bool linear() const { return key_features != nullptr; }
};

// Block of a token, whatever the order it stands in.
int64_t block_of(const TokenOrder& order, const std::vector<int64_t>& starts, int64_t tokens, int64_t head, int64_t token) {
  int set = order.set_of(head);
  int64_t slot = set < 0 ? token : order.inverse[size_t(set * tokens + token)];
  return std::upper_bound(starts.begin(), starts.end(), slot) - starts.begin() - 1;
}

void apply_feature(FeatureMap map, double* x, int64_t n) {
  if (map == FeatureMap::softmax) {
    double most = *std::max_element(x, x + n), sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i] = std::exp(x[i] - most);
    for (int64_t i = 0; i < n; ++i) x[i] /= sum;
  } else {
    for (int64_t i = 0; i < n; ++i) x[i] = map == FeatureMap::relu ? std::max(x[i], 0.0) : x[i] > 0 ? x[i] + 1 : std::exp(x[i]);
  }
}

class Row {
 public:
  static size_t bytes(const AttentionPlan& plan, const AttentionProblem& p) {
    return size_t(plan.nk() + 3 * p.head_dim) * 8 + size_t(plan.nk() + 63) / 64 * 64;
  }

  Row(const Call& call, int64_t b, int64_t h, int64_t q, void* scratch)
      : c_(call), b_(b), h_(h), q_(q), d_(call.p.head_dim), logits_(static_cast<double*>(scratch)) {
    out_ = logits_ + c_.plan.nk(), linear_ = out_ + d_, feature_ = linear_ + d_;
    keep_ = reinterpret_cast<uint8_t*>(feature_ + d_);
  }

  void run() {
    softmax();
    int64_t row = (b_ * c_.p.heads + h_) * c_.plan.nq() + q_;
    if (c_.a.lse) c_.a.lse.as<float>()[row] = float(lse_);
    if (c_.a.block_mass) add_mass(c_.a.mass_lse ? double(c_.a.mass_lse.as<float>()[row]) : lse_);
    if (!c_.a.out) return;
    if (c_.linear()) add_linear();
    int64_t at = b_ * c_.a.out.stride(0) + h_ * c_.a.out.stride(1) + q_ * c_.a.out.stride(2);
    for (int64_t c = 0; c < d_; ++c) store_float(c_.a.out.data, c_.p.dtype, at + c, float(out_[c]));
  }

 private:
  int64_t q_block() const { return block_of(c_.plan.parts().q_order, c_.plan.q_starts(), c_.plan.nq(), h_, q_); }
  int64_t k_block(int64_t key) const { return block_of(c_.plan.parts().k_order, c_.plan.k_starts(), c_.plan.nk(), h_, key); }

  void softmax() {
    const PlanParts& parts = c_.plan.parts();
    double scale = c_.p.scale != 0 ? double(c_.p.scale) : 1 / std::sqrt(double(d_)), most = -kInf;
    c_.plan.expand_row(h_, q_, {keep_, size_t(c_.plan.nk())});
    for (int64_t k = 0; k < c_.plan.nk(); ++k) {
      if (!keep_[k]) continue;
      double dot = 0;
      for (int64_t c = 0; c < d_; ++c) dot += c_.load(c_.a.q, b_, h_, q_, c) * c_.load(c_.a.k, b_, h_, k, c);
      logits_[k] = dot * scale + (parts.k_bias.empty() ? 0.0 : double(parts.k_bias[size_t(k_block(k))]));
      most = std::max(most, logits_[k]);
    }
    double sum = 0, shift = std::isinf(most) && most < 0 ? 0 : most;
    std::fill(out_, out_ + d_, 0.0);
    for (int64_t k = 0; k < c_.plan.nk(); ++k) {
      if (!keep_[k]) continue;
      double w = std::exp(logits_[k] - shift);
      sum += w;
      for (int64_t c = 0; c_.a.out && c < d_; ++c) out_[c] += w * c_.load(c_.a.v, b_, h_, k, c);
    }
    for (int64_t c = 0; c < d_; ++c) out_[c] = sum == 0 ? 0 : out_[c] / sum;
    lse_ = shift + std::log(sum);
  }

  // Rows of one query block add to the same sums: one thread has them all, in order.
  void add_mass(double reference) {
    if (!std::isfinite(reference)) return;
    const auto& m = c_.a.block_mass;
    float* to = m.as<float>() + ((b_ * c_.p.heads + h_) * m.dim(2) + q_block()) * m.dim(3);
    for (int64_t k = 0; k < c_.plan.nk(); ++k) {
      if (keep_[k]) to[k_block(k)] += float(std::exp(logits_[k] - reference));
    }
  }

  // Whether the linear part of this row reads a key block.
  bool in_scope(int64_t q_block, int64_t k_block) const {
    const PlanParts& parts = c_.plan.parts();
    const LinearPart& l = *parts.linear;
    if (l.scope == LinearScope::global) return true;
    if (l.scope == LinearScope::complement && c_.plan.is_dense()) return false;
    bool listed = l.scope == LinearScope::listed;
    const auto& offsets = listed ? l.row_offsets : parts.row_offsets;
    const auto& cols = listed ? l.cols : parts.cols;
    size_t row = size_t(c_.plan.set_of(h_) * parts.q.count() + q_block);
    return listed == std::binary_search(cols.begin() + offsets[row], cols.begin() + offsets[row + 1], int32_t(k_block));
  }

  void add_linear() {
    const LinearPart& l = *c_.plan.parts().linear;
    for (int64_t c = 0; c < d_; ++c) feature_[c] = c_.load(c_.a.q, b_, h_, q_, c);
    apply_feature(l.feature, feature_, d_);
    std::fill(linear_, linear_ + d_, 0.0);
    double sum = l.scope == LinearScope::global ? 1e-5 : 0;
    int64_t block = q_block();
    for (int64_t k = 0; k < c_.plan.nk(); ++k) {
      if (!in_scope(block, k_block(k))) continue;
      const double* key = c_.key_features + ((b_ * c_.p.heads + h_) * c_.plan.nk() + k) * d_;
      double w = 0;
      for (int64_t c = 0; c < d_; ++c) w += feature_[c] * key[c];
      sum += w;
      for (int64_t c = 0; c < d_; ++c) linear_[c] += w * c_.load(c_.a.v, b_, h_, k, c);
    }
    for (int64_t c = 0; c < d_; ++c) linear_[c] = sum == 0 ? 0 : linear_[c] / sum;
    double alpha = l.blend == Blend::lerp ? double(l.alpha[size_t(c_.plan.set_of(h_) * c_.plan.parts().q.count() + block)]) : 0;
    for (int64_t c = 0; c < d_; ++c) {
      double y = linear_[c];
      if (l.projection) {
        y = double(c_.a.proj_bias.as<float>()[c]);
        for (int64_t i = 0; i < d_; ++i) y += double(c_.a.proj_weight.as<float>()[c * d_ + i]) * linear_[i];
      }
      out_[c] = l.blend == Blend::lerp ? alpha * out_[c] + (1 - alpha) * y : out_[c] + y;
    }
  }

  const Call& c_;
  int64_t b_, h_, q_, d_;
  double *logits_, *out_, *linear_, *feature_;
  uint8_t* keep_;
  double lse_ = -kInf;
};

class RefAttention final : public AttentionExecutor {
 public:
  std::string_view name() const override { return "ref"; }
  std::string why_not(const AttentionPlan&, const AttentionProblem&, const ExecContext&) const override { return {}; }
  size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    return feature_bytes(plan, p) + Row::bytes(plan, p) * size_t(std::max(1, ctx.threads));
  }

  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void* workspace,
           const ExecContext& ctx) const override {
    check_attention(plan, p, a);
    char* rows_at = static_cast<char*>(workspace) + feature_bytes(plan, p);
    Call call{plan, p, a, a.out && plan.has_linear() ? static_cast<double*>(workspace) : nullptr};
    int64_t heads = p.batch * p.heads;
    if (call.linear()) {
      parallel_for(ctx.threads, heads * plan.nk(), [&](int64_t i) {
        double* x = call.key_features + i * p.head_dim;
        int64_t head = i / plan.nk();
        for (int64_t c = 0; c < p.head_dim; ++c) x[c] = call.load(a.k, head / p.heads, head % p.heads, i % plan.nk(), c);
        apply_feature(plan.parts().linear->feature, x, p.head_dim);
      });
    }
    auto one = [&](int64_t i) {
      Row(call, i / plan.nq() / p.heads, i / plan.nq() % p.heads, i % plan.nq(),
          rows_at + Row::bytes(plan, p) * size_t(thread_index()))
          .run();
    };
    if (!a.block_mass) return parallel_for(ctx.threads, heads * plan.nq(), one);
    std::fill_n(a.block_mass.as<float>(), a.block_mass.count(), 0.f);
    parallel_for(ctx.threads, heads, [&](int64_t h) {
      for (int64_t q = 0; q < plan.nq(); ++q) one(h * plan.nq() + q);
    });
  }

 private:
  static size_t feature_bytes(const AttentionPlan& plan, const AttentionProblem& p) {
    return plan.has_linear() ? size_t(p.batch * p.heads * plan.nk() * p.head_dim + 7) / 8 * 64 : 0;
  }
};

}  // namespace

void add_ref_attention(OpTable& table) { table.attention.push_back(std::make_shared<RefAttention>()); }

}  // namespace zt
