// What a method keeps is what attention reads: every static method, run by the best implementation of every instruction
// set, against the softmax over its expanded mask in double.
#include <algorithm>
#include <cmath>

#include "kernels/api/attention.h"
#include "model/policy/policy.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using namespace zt::testing;

std::vector<float> masked_softmax(const AttentionPlan& plan, int64_t heads, int64_t d, const std::vector<float>& q,
                                  const std::vector<float>& k, const std::vector<float>& v) {
  int64_t n = plan.nq();
  std::vector<float> out(size_t(heads * n * d), 0.f);
  std::vector<double> weight(static_cast<size_t>(n));
  for (int64_t h = 0; h < heads; ++h) {
    auto mask = must(plan.expand(h));
    for (int64_t i = 0; i < n; ++i) {
      double most = -INFINITY, sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        double dot = 0;
        for (int64_t c = 0; c < d; ++c) dot += double(q[size_t((h * n + i) * d + c)]) * double(k[size_t((h * n + j) * d + c)]);
        weight[size_t(j)] = mask[size_t(i * n + j)] ? dot / std::sqrt(double(d)) : -INFINITY;
        most = std::max(most, weight[size_t(j)]);
      }
      if (std::isinf(most)) continue;  // a row without keys gives zeros
      for (double& w : weight) sum += w = std::exp(w - most);
      for (int64_t c = 0; c < d; ++c) {
        double o = 0;
        for (int64_t j = 0; j < n; ++j) o += weight[size_t(j)] * double(v[size_t((h * n + j) * d + c)]);
        out[size_t((h * n + i) * d + c)] = float(o / sum);
      }
    }
  }
  return out;
}

struct Case {
  const char* spec;
  Grid grid;
};

TEST(PolicyRun, MaskedSoftmax) {
  const Case cases[] = {
      {"dense", {3, 5, 7}},
      {"radial:decay=0.2,block=64", {7, 9, 13}},
      {"radial:decay=0.2,block=64,variant=exact", {7, 9, 13}},
      {"radial:decay=0.5,variant=exact,near=decay,sink=0", {20, 3, 5}},
      {"radial:block=64", {40, 1, 3}},  // rows without keys
      {"window:window=3x3x5,tile=2x3x4", {5, 7, 9}},
      {"window:window=2x3x2,dilation=2x2x3,tile=1x2x2", {5, 7, 9}},
      {"window:window=2x4x4,stride=2x4x4", {4, 8, 12}},
      {"window:mode=tile,window=3x1x3,tile=2x4x4", {6, 7, 13}},
      {"radial:variant=exact", {1, 1, 3}},
      {"window", {1, 1, 1}},
  };
  const int64_t heads = 2, d = 64;
  for (Isa isa : runnable_isas()) {
    auto m = make_machine(isa);
    for (const Case& c : cases) {
      auto policy = must(make_policy(c.spec), c.spec);
      PlanPtr plan = must(static_plan(*policy, c.grid, heads, m->ctx), c.spec);
      int64_t n = c.grid.tokens();
      Shape shape{1, heads, n, d};
      Tensor q = random_tensor(m->arena, DType::f32, shape, 1), k = random_tensor(m->arena, DType::f32, shape, 2);
      Tensor v = random_tensor(m->arena, DType::f32, shape, 3), out = must(m->arena.zeros(DType::f32, shape));
      AttentionProblem problem;
      problem.heads = heads, problem.head_dim = d;
      const AttentionExecutor& best = choose_attention(*plan, problem, m->ctx);
      Tensor workspace = must(m->arena.make(DType::u8, {int64_t(best.workspace_bytes(*plan, problem, m->ctx)) + 64}));
      AttentionArgs args;
      args.q = q, args.k = k, args.v = v, args.out = out;
      best.run(*plan, problem, args, workspace.data(), m->ctx);
      auto want = masked_softmax(*plan, heads, d, to_floats(q), to_floats(k), to_floats(v));
      // A logit of size ~1 is off by at most d eps = 4e-6, and so is each weight, relatively: 1.5e-11 of the energy.
      EXPECT_LT(nmse(to_floats(out), want), 1e-10) << c.spec << " by " << best.name();
    }
  }
}

}  // namespace
}  // namespace zt
