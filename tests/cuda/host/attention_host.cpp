#include "tests/cuda/host/attention_host.h"

#include <cmath>

namespace zt::testing {
namespace {

using cuda_attention::Matrices;

// The same values in the session's memory, [N, H, D] a batch entry with `gap` elements after every token.
Matrices place(cuda_host::Session& s, const TensorView& t, int64_t gap, const char* name) {
  int64_t b = t.dim(0), h = t.dim(1), n = t.dim(2), d = t.dim(3), row = h * d + gap;
  std::vector<uint16_t> bits(size_t(b * n * row - gap), 0xffff);
  for (int64_t i = 0; i < b * h * n * d; ++i) {
    int64_t c = i % d, token = i / d % n, head = i / d / n % h, batch = i / d / n / h;
    bits[size_t((batch * n + token) * row + head * d + c)] =
        static_cast<const uint16_t*>(t.data)[batch * t.stride(0) + head * t.stride(1) + token * t.stride(2) + c];
  }
  auto p = s.upload(bits, name);
  return {reinterpret_cast<void*>(p.address()), n * row, d, row};
}

// The largest sum of magnitudes of a row.
double widest_row(const TensorView& w) {
  double most = 0;
  for (int64_t r = 0; r < w.dim(0); ++r) {
    double sum = 0;
    for (int64_t c = 0; c < w.dim(1); ++c) sum += std::abs(double(w.as<float>()[r * w.stride(0) + c]));
    most = std::max(most, sum);
  }
  return most;
}

float value_of(uint16_t bits, DType t) { return load_float(&bits, t, 0); }

}  // namespace

AttentionResult host_attention(const AttentionPlan& plan, const AttentionInputs& in, const CudaRun& run,
                               std::vector<cuda_host::SiteTraffic>* traffic) {
  cuda_host::Options options = cuda_host::options_of(run.seed);
  options.count_traffic = run.count_traffic;
  cuda_host::Session session(options);
  const AttentionShape& s = in.shape;
  float scale = float(1 / std::sqrt(double(s.d)));
  auto tables = cuda_attention::make_tables(plan, in.dtype, int(s.d), s.heads, scale, run.shape, run.mass);
  auto device = cuda_attention::upload_tables(tables, [&](std::span<const std::byte> bytes) -> const void* {
    return reinterpret_cast<const void*>(session.upload(bytes, "a list of the plan").address());
  });
  int64_t gap = run.askew ? 3 : run.count_traffic ? 16 : 8, row = s.heads * s.d + gap;
  cuda_attention::AttentionCall c;
  c.q = place(session, in.args.q, gap, "q"), c.k = place(session, in.args.k, gap, "k");
  auto out = session.output<uint16_t>(size_t(s.batch * s.nq * row - gap), "out");
  auto lse = session.output<float>(size_t(s.batch * s.heads * s.nq), "lse");
  if (run.out) {
    c.v = place(session, in.args.v, gap, "v");
    c.out = {reinterpret_cast<void*>(out.address()), s.nq * row, s.d, row};
  }
  if (run.lse) c.lse = reinterpret_cast<float*>(lse.address());
  c.q_blocks = int(plan.parts().q.count()), c.k_blocks = int(plan.parts().k.count());
  size_t mass_count = run.mass ? size_t(s.batch * s.heads * c.q_blocks * c.k_blocks) : 0;
  auto mass = session.output<float>(mass_count, "block mass", cuda_host::Access::free);
  if (run.mass) c.mass = reinterpret_cast<float*>(mass.address());
  if (run.mass && !run.mass_lse.empty()) {
    c.mass_lse = reinterpret_cast<const float*>(session.upload(run.mass_lse, "log-sum-exps for mass").address());
  }
  c.batch = int(s.batch), c.heads = int(s.heads), c.head_dim = int(s.d), c.nq = s.nq, c.nk = s.nk, c.scale = scale;
  auto floats = [&](const TensorView& t, const char* name) {
    return reinterpret_cast<const float*>(session.upload(to_floats(t), name).address());
  };
  if (plan.has_linear()) c.proj_weight = floats(in.args.proj_weight, "projection"), c.proj_bias = floats(in.args.proj_bias, "its bias");
  auto workspace = session.output<uint32_t>(attention_workspace(tables, c) / 4, "workspace");
  EXPECT_EQ(run_attention(tables, device, c, reinterpret_cast<void*>(workspace.address()), nullptr), 0);
  AttentionResult r;
  r.name = "cuda";
  if (run.lse) r.lse = session.download(lse, size_t(s.batch * s.heads * s.nq));
  r.mass = session.download(mass, mass_count);
  if (traffic) *traffic = session.traffic().sites();
  if (!run.out) return r;
  std::vector<uint16_t> bits = session.download(out, size_t(s.batch * s.nq * row - gap));
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t n = 0; n < s.nq; ++n) {
        for (int64_t d = 0; d < s.d; ++d) r.out.push_back(value_of(bits[size_t((b * s.nq + n) * row + h * s.d + d)], in.dtype));
      }
    }
  }
  for (int64_t i = 0; i < int64_t(bits.size()); ++i) r.guards_intact &= i % row < s.heads * s.d || bits[size_t(i)] == 0xffff;
  return r;
}

Used error_used(const AttentionResult& got, const AttentionResult& right, const AttentionPlan& plan, const AttentionInputs& in) {
  double eps = in.dtype == DType::bf16 ? 0x1p-9 : 0x1p-12, most_v = 0;
  for (float v : to_floats(in.args.v)) most_v = std::max(most_v, std::abs(double(v)));
  if (plan.has_linear()) most_v *= 2 + 7 * (plan.parts().linear->projection ? widest_row(in.args.proj_weight) : 1);
  Used u;
  auto note = [&](double& most, double used, const char* what, size_t i, double a, double b) {
    // Not a number never counts as small.
    if (used <= most) return;
    most = std::isnan(used) ? 1e9 : used;
    u.worst = fmt::format("{} {}: {} for {}", what, i, a, b);
  };
  for (size_t i = 0; i < got.out.size(); ++i) {
    double a = got.out[i], b = right.out[i];
    note(u.out, std::abs(a - b) / (eps * (most_v + 2 * std::abs(b))), "out", i, a, b);
  }
  for (size_t i = 0; i < got.lse.size(); ++i) {
    double a = got.lse[i], b = right.lse[i];
    note(u.lse, a == b ? 0 : std::abs(a - b) / 2e-4, "lse", i, a, b);
  }
  for (size_t i = 0; i < got.mass.size(); ++i) {
    double a = got.mass[i], b = right.mass[i];
    note(u.mass, a == b ? 0 : std::abs(a - b) / (2e-4 * (1 + b)), "mass", i, a, b);
  }
  return u;
}

}  // namespace zt::testing
