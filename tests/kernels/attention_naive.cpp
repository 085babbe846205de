// Attention as anyone would write it, in the precision that the kernels work in: what their errors are measured by.
#include <cmath>
#include <limits>

#include "tests/kernels/attention_support.h"

namespace zt::testing {
namespace {

float rounded(float x, DType t) { return t == DType::bf16 ? float(bf16(x)) : x; }

// A key with its block.
struct Key {
  int64_t token, block;
  bool kept;
};

class Naive {
 public:
  Naive(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o)
      : plan_(plan),
        parts_(plan.parts()),
        s_(in.shape),
        t_(in.dtype),
        o_(o),
        qs_(to_floats(in.args.q)),
        ks_(to_floats(in.args.k)),
        vs_(to_floats(in.args.v)),
        weight_(to_floats(in.args.proj_weight)),
        bias_(to_floats(in.args.proj_bias)) {
    r_.name = "naive";
    r_.out.resize(size_t(s_.batch * s_.heads * s_.nq * s_.d));
    r_.lse.resize(size_t(s_.batch * s_.heads * s_.nq));
    if (o.mass) r_.mass.resize(size_t(s_.batch * s_.heads * parts_.q.count() * parts_.k.count()));
  }

  AttentionResult run() {
    for (bh_ = 0; bh_ < s_.batch * s_.heads; ++bh_) {
      if (plan_.has_linear() && o_.out) make_features();
      for (q_block_ = 0; q_block_ < parts_.q.count(); ++q_block_) {
        if (plan_.has_linear() && o_.out) sum_state();
        for (int64_t slot = plan_.q_starts()[size_t(q_block_)]; slot < plan_.q_starts()[size_t(q_block_) + 1]; ++slot) {
          row(token(parts_.q_order, slot, s_.nq));
        }
      }
    }
    return std::move(r_);
  }

 private:
  int64_t head() const { return bh_ % s_.heads; }
  int64_t token(const TokenOrder& o, int64_t slot, int64_t tokens) const {
    int set = o.set_of(head());
    return set < 0 ? slot : o.order[size_t(set * tokens + slot)];
  }
  const float* row_of(const std::vector<float>& t, int64_t n, int64_t i) const { return t.data() + (bh_ * n + i) * s_.d; }
  float* q_mass() { return r_.mass.data() + (bh_ * parts_.q.count() + q_block_) * parts_.k.count(); }

  std::vector<Key> keys_of(int64_t q) const {
    std::vector<uint8_t> keep(size_t(s_.nk));
    plan_.expand_row(head(), q, keep);
    std::vector<Key> keys;
    for (int64_t block = 0; block < parts_.k.count(); ++block) {
      for (int64_t slot = plan_.k_starts()[size_t(block)]; slot < plan_.k_starts()[size_t(block) + 1]; ++slot) {
        int64_t key = token(parts_.k_order, slot, s_.nk);
        keys.push_back({key, block, keep[size_t(key)] != 0});
      }
    }
    return keys;
  }

  void row(int64_t q) {
    float factor = o_.scale != 0 ? o_.scale : 1 / std::sqrt(float(s_.d));
    std::vector<Key> keys = keys_of(q);
    std::erase_if(keys, [](const Key& k) { return !k.kept; });
    std::vector<float> logits(keys.size());
    float most = -std::numeric_limits<float>::infinity(), sum = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      float dot = 0;
      const float *x = row_of(qs_, s_.nq, q), *y = row_of(ks_, s_.nk, keys[i].token);
      for (int64_t c = 0; c < s_.d; ++c) dot += x[c] * y[c];
      logits[i] = dot * factor + (parts_.k_bias.empty() ? 0.f : parts_.k_bias[size_t(keys[i].block)]);
      most = std::max(most, logits[i]);
    }
    float* out = r_.out.data() + (bh_ * s_.nq + q) * s_.d;
    for (size_t i = 0; i < keys.size(); ++i) {
      float w = std::exp(logits[i] - most);
      sum += w;
      float kept = rounded(w, t_);
      const float* v = row_of(vs_, s_.nk, keys[i].token);
      for (int64_t c = 0; c < s_.d; ++c) out[c] += kept * v[c];
    }
    for (int64_t c = 0; c < s_.d; ++c) out[c] = keys.empty() ? 0.f : out[c] / sum;
    if (plan_.has_linear() && o_.out) add_linear(q, out);
    for (int64_t c = 0; c < s_.d; ++c) out[c] = rounded(out[c], t_);
    float lse = r_.lse[size_t(bh_ * s_.nq + q)] = most + std::log(sum);
    if (!o_.mass) return;
    float reference = o_.mass_lse.empty() ? lse : o_.mass_lse[size_t(bh_ * s_.nq + q)];
    for (size_t i = 0; i < keys.size() && std::isfinite(reference); ++i) {
      q_mass()[keys[i].block] += rounded(std::exp(logits[i] - most), t_) * std::exp(most - reference);
    }
  }

  std::vector<float> feature(const float* x) const {
    std::vector<float> y(x, x + s_.d);
    switch (parts_.linear->feature) {
      case FeatureMap::softmax: {
        float most = *std::max_element(y.begin(), y.end()), sum = 0;
        for (float& e : y) sum += e = std::exp(e - most);
        for (float& e : y) e /= sum;
        break;
      }
      case FeatureMap::elu:
        for (float& e : y) e = e > 0 ? e + 1 : std::exp(e);
        break;
      case FeatureMap::relu:
        for (float& e : y) e = std::max(e, 0.f);
    }
    for (float& e : y) e = rounded(e, t_);
    return y;
  }

  void make_features() {
    features_.clear();
    for (int64_t n = 0; n < s_.nk; ++n) features_.push_back(feature(row_of(ks_, s_.nk, n)));
  }

  bool in_scope(int64_t block) const {
    const LinearPart& l = *parts_.linear;
    if (l.scope == LinearScope::global) return true;
    if (l.scope == LinearScope::complement && plan_.is_dense()) return false;
    bool listed = l.scope == LinearScope::listed;
    const auto& offsets = listed ? l.row_offsets : parts_.row_offsets;
    const auto& cols = listed ? l.cols : parts_.cols;
    size_t at = size_t(plan_.set_of(head()) * parts_.q.count() + q_block_);
    return listed == std::binary_search(cols.begin() + offsets[at], cols.begin() + offsets[at + 1], int32_t(block));
  }

  // Of the query block: phi(K)^T V and the sums of phi(K).
  void sum_state() {
    state_.assign(size_t(s_.d * s_.d), 0.f), sums_.assign(size_t(s_.d), 0.f);
    for (int64_t block = 0; block < parts_.k.count(); ++block) {
      if (!in_scope(block)) continue;
      for (int64_t slot = plan_.k_starts()[size_t(block)]; slot < plan_.k_starts()[size_t(block) + 1]; ++slot) {
        int64_t key = token(parts_.k_order, slot, s_.nk);
        const float *f = features_[size_t(key)].data(), *v = row_of(vs_, s_.nk, key);
        for (int64_t i = 0; i < s_.d; ++i) {
          sums_[size_t(i)] += f[i];
          for (int64_t c = 0; c < s_.d; ++c) state_[size_t(i * s_.d + c)] += f[i] * v[c];
        }
      }
    }
    for (float& x : state_) x = rounded(x, t_);
  }

  void add_linear(int64_t q, float* out) {
    const LinearPart& l = *parts_.linear;
    std::vector<float> f = feature(row_of(qs_, s_.nq, q)), y(size_t(s_.d), 0.f);
    float sum = l.scope == LinearScope::global ? 1e-5f : 0.f;
    for (int64_t i = 0; i < s_.d; ++i) {
      sum += f[size_t(i)] * sums_[size_t(i)];
      for (int64_t c = 0; c < s_.d; ++c) y[size_t(c)] += f[size_t(i)] * state_[size_t(i * s_.d + c)];
    }
    for (float& x : y) x = sum == 0 ? 0.f : x / sum;
    if (l.projection) {
      std::vector<float> z = bias_;
      for (int64_t i = 0; i < s_.d; ++i) {
        for (int64_t c = 0; c < s_.d; ++c) z[size_t(c)] += rounded(y[size_t(i)], t_) * rounded(weight_[size_t(c * s_.d + i)], t_);
      }
      y = z;
    }
    float a = l.blend == Blend::lerp ? l.alpha[size_t(plan_.set_of(head()) * parts_.q.count() + q_block_)] : 0;
    for (int64_t c = 0; c < s_.d; ++c)
      out[c] = l.blend == Blend::lerp ? a * out[c] + (1 - a) * y[size_t(c)] : out[c] + y[size_t(c)];
  }

  const AttentionPlan& plan_;
  const PlanParts& parts_;
  const AttentionShape s_;
  const DType t_;
  const AttentionOptions& o_;
  const std::vector<float> qs_, ks_, vs_, weight_, bias_;
  AttentionResult r_;
  int64_t bh_ = 0, q_block_ = 0;
  std::vector<std::vector<float>> features_;
  std::vector<float> state_, sums_;
};

}  // namespace

AttentionResult naive_attention(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o) {
  return Naive(plan, in, o).run();
}

}  // namespace zt::testing
