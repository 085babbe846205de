// For tests of methods that plan from queries and keys: one clip's q, k, v, and what exact attention makes of them.
#pragma once

#include <cmath>
#include <vector>

#include "model/policy/policy.h"
#include "tests/support/testing.h"

namespace zt::testing {

// q, k, v as the model has them ([N, 3 * H * D], heads side by side). Tokens near each other in the clip have similar keys and
// queries, as in real clips; `noise` is the share of each that is not.
class PolicyClip {
 public:
  PolicyClip(const Grid& g, int64_t heads, int64_t d, uint64_t seed, DType t = DType::f32, float noise = 0.4f)
      : grid(g), heads_(heads), d_(d) {
    const int64_t n = g.tokens(), width = heads * d;
    store_ = random_tensor(*arena_, t, {n, 3 * width}, seed);
    Random r(seed + 1);
    for (int64_t c = 0; c < 2 * width; ++c) {
      const double ft = 3 * r.normal(), fh = 3 * r.normal(), fw = 3 * r.normal();
      const int64_t partner = c % width;  // q and k share directions, so that near tokens fit
      for (int64_t i = 0; i < n; ++i) {
        double x = double(i / (g.h * g.w)) / double(g.t), y = double(i / g.w % g.h) / double(g.h),
               z = double(i % g.w) / double(g.w);
        double smooth = 1.6 * std::cos(ft * x + fh * y + fw * z + 0.1 * double(partner));
        float own = load_float(store_.data(), t, i * 3 * width + c);
        store_float(store_.data(), t, i * 3 * width + c, float(smooth) + noise * own);
      }
      if (c >= width) continue;
      for (int64_t i = 0; i < n; ++i) {  // the key gets the query's wave
        float wave = load_float(store_.data(), t, i * 3 * width + c);
        float own = load_float(store_.data(), t, i * 3 * width + width + c);
        store_float(store_.data(), t, i * 3 * width + width + c, wave + noise * own);
      }
    }
    auto columns = [&](int64_t at) {
      TensorView x(static_cast<char*>(store_.data()) + size_t(at) * dtype_size(t), t, {1, heads, n, d});
      x.strides = {n * 3 * width, d, 3 * width, 1};
      return x;
    };
    q = columns(0), k = columns(width), v = columns(2 * width);
  }

  PolicyInput at(int64_t step = 0, int64_t steps = 1, int64_t layer = 0, Branch branch = Branch::cond) const {
    PolicyInput in;
    in.site.grid = grid, in.site.step = step, in.site.steps = steps, in.site.layer = layer, in.site.branch = branch;
    in.heads = heads_, in.q = q, in.k = k, in.v = v;
    return in;
  }

  // exp(logit) of each query and key of a head over the row's sum, in double.
  std::vector<double> probabilities(int64_t head) const {
    const int64_t n = grid.tokens();
    std::vector<float> qs = to_floats(q.select(0, 0).select(0, head)), ks = to_floats(k.select(0, 0).select(0, head));
    std::vector<double> p(size_t(n * n));
    for (int64_t i = 0; i < n; ++i) {
      double most = -INFINITY, sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        double dot = 0;
        for (int64_t c = 0; c < d_; ++c) dot += double(qs[size_t(i * d_ + c)]) * double(ks[size_t(j * d_ + c)]);
        p[size_t(i * n + j)] = dot / std::sqrt(double(d_));
        most = std::max(most, p[size_t(i * n + j)]);
      }
      for (int64_t j = 0; j < n; ++j) sum += p[size_t(i * n + j)] = std::exp(p[size_t(i * n + j)] - most);
      for (int64_t j = 0; j < n; ++j) p[size_t(i * n + j)] /= sum;
    }
    return p;
  }

  // Mean kept probability over heads and queries.
  double recall(const AttentionPlan& plan) const {
    const int64_t n = grid.tokens();
    double kept = 0;
    for (int64_t h = 0; h < heads_; ++h) {
      std::vector<double> p = probabilities(h);
      std::vector<uint8_t> mask = must(plan.expand(h));
      for (size_t i = 0; i < mask.size(); ++i) kept += mask[i] ? p[i] : 0;
    }
    return kept / double(n * heads_);
  }

  Grid grid;
  TensorView q, k, v;

 private:
  std::unique_ptr<Arena> arena_ = std::make_unique<Arena>();
  int64_t heads_, d_;
  Tensor store_;
};

inline PlanPtr plan_once(const std::string& spec, const PolicyInput& in, const ExecContext& ctx) {
  auto policy = must(make_policy(spec), spec.c_str());
  return must(policy->plan(in, ctx), spec.c_str());
}

}  // namespace zt::testing
