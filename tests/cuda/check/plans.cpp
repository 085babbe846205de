#include <cmath>
#include <cstdio>

#include "kernels/api/attention.h"
#include "kernels/api/op_table.h"
#include "kernels/cuda/attention/call.h"
#include "kernels/ref/ref.h"
#include "tests/cuda/check/check.h"
#include "tests/cuda/check/device.h"
#include "tests/kernels/plan_random.h"

namespace zt::check {
namespace {

using namespace cuda_attention;

struct Inputs {
  int64_t batch, heads, nq, nk, d;
  DType dtype;
  std::vector<float> q, k, v;  // [B, H, N, D], representable in dtype

  std::vector<float> make(testing::Random& r, int64_t n, float scale) const {
    std::vector<float> x(size_t(batch * heads * n * d));
    for (float& f : x) f = dtype == DType::bf16 ? float(bf16(r.normal() * scale)) : f16_to_f32(f32_to_f16(r.normal() * scale));
    return x;
  }
  std::vector<uint16_t> bits(const std::vector<float>& x) const {
    std::vector<uint16_t> b;
    for (float f : x) b.push_back(dtype == DType::bf16 ? bf16(f).bits : f32_to_f16(f));
    return b;
  }
};

struct Results {
  std::vector<float> out, lse, mass;
};

Results reference(const AttentionPlan& plan, Inputs& in) {
  OpTable table;
  add_ref_attention(table);
  AttentionProblem p{in.batch, in.heads, in.d, DType::f32, 0, true};
  ExecContext ctx;
  ctx.threads = 16;
  Results r;
  r.out.resize(in.q.size()), r.lse.resize(size_t(in.batch * in.heads * in.nq));
  auto view = [&](std::vector<float>& x, int64_t n) { return TensorView(x.data(), DType::f32, {in.batch, in.heads, n, in.d}); };
  int64_t q_blocks = plan.parts().q.count(), k_blocks = plan.parts().k.count();
  r.mass.resize(size_t(in.batch * in.heads * q_blocks * k_blocks));
  AttentionArgs a{view(in.q, in.nq), view(in.k, in.nk), view(in.v, in.nk), view(r.out, in.nq),
                  TensorView(r.lse.data(), DType::f32, {in.batch, in.heads, in.nq})};
  a.block_mass = TensorView(r.mass.data(), DType::f32, {in.batch, in.heads, q_blocks, k_blocks});
  std::vector<char> workspace(table.attention[0]->workspace_bytes(plan, p, ctx) + 64);
  table.attention[0]->run(plan, p, a, workspace.data() + 64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64, ctx);
  return r;
}

Results on_device(const AttentionPlan& plan, const Inputs& in, const TileShape& shape) {
  float scale = float(1 / std::sqrt(double(in.d)));
  PlanTables tables = make_tables(plan, in.dtype, int(in.d), in.heads, scale, shape, true);
  std::vector<Buffer> lists;
  DeviceTables device = upload_tables(tables, [&](std::span<const std::byte> bytes) -> const void* {
    lists.emplace_back(bytes.size());
    lists.back().put(bytes.data(), bytes.size());
    return lists.back().data();
  });
  Buffer q = upload(in.bits(in.q)), k = upload(in.bits(in.k)), v = upload(in.bits(in.v)), out(in.q.size() * 2);
  Buffer lse(size_t(in.batch * in.heads * in.nq) * 4);
  auto matrices = [&](const Buffer& b, int64_t n) { return Matrices{b.data(), in.heads * n * in.d, n * in.d, in.d}; };
  auto q_blocks = int(plan.parts().q.count()), k_blocks = int(plan.parts().k.count());
  auto mass_count = size_t(in.batch * in.heads * q_blocks * k_blocks);
  Buffer mass(mass_count * 4);
  AttentionCall c{matrices(q, in.nq), matrices(k, in.nk), matrices(v, in.nk), matrices(out, in.nq), static_cast<float*>(lse.data()),
                  static_cast<float*>(mass.data()), nullptr, int(in.batch), int(in.heads), int(in.d), in.nq, in.nk, q_blocks, k_blocks, scale};
  Buffer workspace(attention_workspace(tables, c));
  must(run_attention(tables, device, c, workspace.data(), nullptr), "attention");
  must(cudaDeviceSynchronize(), "attention");
  Results r;
  for (uint16_t b : out.get<uint16_t>(in.q.size())) r.out.push_back(load_float(&b, in.dtype, 0));
  r.lse = lse.get<float>(size_t(in.batch * in.heads * in.nq));
  r.mass = mass.get<float>(mass_count);
  return r;
}

// The largest share of what rounding explains; see tests/cuda/host/attention_host.h.
struct Used {
  double out = 0, lse = 0, mass = 0;
};
Used used(const Results& got, const Results& right, const Inputs& in) {
  double eps = in.dtype == DType::bf16 ? 0x1p-9 : 0x1p-12, most_v = 0;
  for (float v : in.v) most_v = std::max(most_v, std::abs(double(v)));
  Used u;
  auto note = [](double& most, double x) { most = std::isnan(x) ? 1e9 : std::max(most, x); };
  for (size_t i = 0; i < got.out.size(); ++i) {
    note(u.out, std::abs(double(got.out[i]) - double(right.out[i])) / (eps * (most_v + 2 * std::abs(double(right.out[i])))));
  }
  for (size_t i = 0; i < got.lse.size(); ++i) {
    note(u.lse, got.lse[i] == right.lse[i] ? 0 : std::abs(double(got.lse[i]) - double(right.lse[i])) / 2e-4);
  }
  for (size_t i = 0; i < got.mass.size(); ++i) note(u.mass, std::abs(double(got.mass[i]) - double(right.mass[i])) / (2e-4 * (1 + double(right.mass[i]))));
  return u;
}

}  // namespace

bool check_plans(nlohmann::json& report, int plans) {
  testing::Random random(17);
  int failures = 0, runs = 0;
  Used worst;
  for (int i = 0; i < plans; ++i) {
    int64_t heads = 1 + random.below(3);
    int64_t tokens = i % 10 == 0 ? 1500 : 300;
    PlanParts parts = testing::random_parts(random, {.max_tokens = tokens, .heads = heads, .linear = false});
    auto plan = AttentionPlan::make(std::move(parts));
    if (!plan.ok()) must(cudaErrorInvalidValue, plan.status().message().c_str());
    Inputs in{1 + random.below(2), heads, (*plan)->nq(), (*plan)->nk(), i % 2 ? 128 : 64, random.below(3) ? DType::bf16 : DType::f16, {}, {}, {}};
    auto scale = float(0.5 + 1.5 * random.uniform());
    in.q = in.make(random, in.nq, scale), in.k = in.make(random, in.nk, scale), in.v = in.make(random, in.nk, scale);
    Results right = reference(**plan, in);
    for (TileShape shape : {kSmall64, kTall64, kWide64, kSmall128, kTall128, kWide128}) {
      const ForwardKernel* kernel = find_forward(in.dtype, int(in.d), shape);
      // A shape of the other head dimension, or one that this card is not meant to run.
      if (!kernel || shape.shared_bytes(int(in.d)) > shared_limit(device_arch())) continue;
      bool wide = shape == kWide64 || shape == kWide128;
      if (wide && device_arch() != 80 && device_arch() != 90) continue;
      Used u = used(on_device(**plan, in, shape), right, in);
      worst.out = std::max(worst.out, u.out), worst.lse = std::max(worst.lse, u.lse);
      worst.mass = std::max(worst.mass, u.mass), ++runs;
      if (u.out <= 1 && u.lse <= 1 && u.mass <= 1) continue;
      std::fprintf(stderr, "plan %d, %dx%d tiles of %d: out %.3g, lse %.3g, mass %.3g of the bound\n", i, shape.rows, shape.keys, int(in.d), u.out,
                   u.lse, u.mass);
      ++failures;
    }
  }
  report["plans"] = {{"plans", plans}, {"runs", runs}, {"failures", failures}, {"out_of_bound", worst.out}, {"lse_of_bound", worst.lse}, {"mass_of_bound", worst.mass}};
  return failures == 0;
}

}  // namespace zt::check
