#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "kernels/cuda/attention/call.h"
#include "tests/cuda/check/candidates.h"
#include "tests/cuda/check/check.h"
#include "tests/cuda/check/device.h"
#include "tests/support/random.h"

namespace zt::check {
namespace {

using namespace cuda_attention;

struct Problem {
  int64_t heads, n, d;
  const char* what;
};
constexpr Problem kProblems[] = {{12, 32760, 128, "Wan 1.3B, 480x832, 81 frames"}, {6, 5376, 64, "mini"}, {24, 8192, 128, "8,192 tokens"}};

// Every row of every head keeps this share of the key blocks, at random.
PlanPtr random_plan(const Problem& p, int block_q, int block_k, double keep) {
  PlanParts parts;
  parts.heads = int(p.heads);
  parts.q = Blocks::uniform(p.n, block_q), parts.k = Blocks::uniform(p.n, block_k);
  parts.row_offsets = {0};
  testing::Random random(7);
  int64_t blocks = parts.k.count();
  auto count = std::max<int64_t>(1, int64_t(keep * double(blocks)));
  std::vector<int32_t> all(static_cast<size_t>(blocks));
  std::iota(all.begin(), all.end(), 0);
  for (int64_t row = 0; row < p.heads * parts.q.count(); ++row) {
    for (int64_t i = 0; i < count; ++i) std::swap(all[size_t(i)], all[size_t(i + random.below(blocks - i))]);
    parts.cols.insert(parts.cols.end(), all.begin(), all.begin() + count);
    std::sort(parts.cols.end() - count, parts.cols.end());
    parts.row_offsets.push_back(int64_t(parts.cols.size()));
  }
  auto plan = AttentionPlan::make(std::move(parts));
  if (!plan.ok()) must(cudaErrorInvalidValue, plan.status().message().c_str());
  return *plan;
}

struct Tensors {
  Buffer q, k, v, out, lse;
  explicit Tensors(const Problem& p) : q(bytes(p)), k(bytes(p)), v(bytes(p)), out(bytes(p)), lse(size_t(p.heads * p.n) * 4) {
    std::vector<uint16_t> x(size_t(p.heads * p.n * p.d));
    testing::Random random(3);
    std::vector<uint16_t> some(1 << 16);
    for (uint16_t& b : some) b = bf16(random.normal()).bits;
    for (Buffer* b : {&q, &k, &v}) {
      auto shift = size_t(random.below(1 << 16));
      for (size_t i = 0; i < x.size(); ++i) x[i] = some[(i * 37 + shift + i / 65536) % some.size()];
      b->put(x.data(), x.size() * 2);
    }
  }
  static size_t bytes(const Problem& p) { return size_t(p.heads * p.n * p.d) * 2; }
};

double time_plan(const AttentionPlan& plan, const Problem& p, const Tensors& t, const ForwardKernel& kernel) {
  float scale = float(1 / std::sqrt(double(p.d)));
  PlanTables tables;
  tables.kernel = &kernel;
  tables.lists = make_tile_lists(plan, kernel.shape, p.heads, scale);
  std::vector<Buffer> lists;
  DeviceTables device = upload_tables(tables, [&](std::span<const std::byte> bytes) -> const void* {
    lists.emplace_back(bytes.size());
    lists.back().put(bytes.data(), bytes.size());
    return lists.back().data();
  });
  auto matrices = [&](const Buffer& b) { return Matrices{b.data(), p.heads * p.n * p.d, p.n * p.d, p.d}; };
  AttentionCall c{matrices(t.q), matrices(t.k), matrices(t.v), matrices(t.out), static_cast<float*>(t.lse.data()),
                  nullptr, nullptr, 1, int(p.heads), int(p.d), p.n, p.n, 0, 0, scale};
  return seconds_of([&] { must(run_attention(tables, device, c, nullptr, nullptr), "attention"); }, 5);
}

std::string name_of(const TileShape& s) {
  return std::to_string(s.rows) + "x" + std::to_string(s.keys) + ", " + std::to_string(s.warps) + " warps, " + std::to_string(s.stages) +
         " stages" + (s.q_in_registers ? ", q in registers" : "");
}

void time_kernel(nlohmann::json& rows, const Problem& p, const Tensors& t, const ForwardKernel& kernel, bool shipped) {
  double flops = 4 * double(p.heads) * double(p.n) * double(p.n) * double(p.d);
  double dense = time_plan(*AttentionPlan::dense(p.n, p.n), p, t, kernel);
  nlohmann::json row = {{"problem", p.what}, {"heads", p.heads}, {"tokens", p.n}, {"head_dim", p.d}, {"kernel", name_of(kernel.shape)},
                        {"shipped", shipped}, {"dense_ms", dense * 1e3}, {"dense_tflops", flops / dense * 1e-12}};
  std::fprintf(stderr, "%-30s d %3d  %-46s dense %8.3f ms %6.1f TFLOP/s", p.what, int(p.d), name_of(kernel.shape).c_str(), dense * 1e3,
               flops / dense * 1e-12);
  int block_q = kernel.shape.rows;
  for (double keep : {0.5, 0.2, 0.1, 0.05}) {
    PlanPtr plan = random_plan(p, block_q, 64, keep);
    double s = time_plan(*plan, p, t, kernel);
    row["sparse"].push_back({{"density", plan->density()}, {"ms", s * 1e3}, {"share_of_dense", s / dense}});
    std::fprintf(stderr, " | %.3f: %.3f ms %.1f%%", plan->density(), s * 1e3, 100 * s / dense);
  }
  std::fprintf(stderr, "\n");
  rows.push_back(std::move(row));
}

}  // namespace

void time_attention(nlohmann::json& report, bool all_shapes) {
  int arch = device_arch();
  for (const Problem& p : kProblems) {
    Tensors t(p);
    PlanPtr dense = AttentionPlan::dense(p.n, p.n);
    time_kernel(report["attention"], p, t, *find_forward(DType::bf16, int(p.d), tile_size(arch, int(p.d), *dense)), true);
    time_kernel(report["attention"], p, t, *find_forward(DType::bf16, int(p.d), p.d == 64 ? kSmall64 : kSmall128), true);
    for (const ForwardKernel& k : std::span(kCandidates, size_t(kCandidateCount))) {
      if (all_shapes && k.head_dim == p.d && k.shape.shared_bytes(k.head_dim) <= shared_limit(arch)) time_kernel(report["attention"], p, t, k, false);
    }
  }
}

}  // namespace zt::check
