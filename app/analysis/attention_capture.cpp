#include "app/analysis/attention_capture.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/api/ops.h"
#include "kernels/api/select.h"
#include "kernels/api/transfer.h"
#include "model/dit/recall.h"
#include "model/policy/block_choice.h"

namespace zt {
namespace {

constexpr int64_t kMapSide = 96;       // blocks a side, at least, where a frame can be cut that fine
constexpr int64_t kSmallestBlock = 16;  // below it the kernel's tiles run empty
constexpr int64_t kDecayRows = 24;     // whole rows of probabilities a head
constexpr int64_t kKeptRows = 4;       // rows of a block that its kept fractions are read from

// n tokens spread over the clip, never two at one place of their frames when it can be helped.
std::vector<int32_t> spread(int64_t tokens, int64_t n) {
  n = std::min(n, tokens);
  std::vector<int32_t> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(int32_t((2 * i + 1) * tokens / (2 * n)));
  return v;
}

// Probabilities [H, rows, N] of a few query rows, by the op that scores blocks: a block of one token is that token.
Result<Tensor> probabilities(const AttentionArgs& a, std::span<const int32_t> rows, const ExecContext& ctx) {
  int64_t heads = a.q.dim(1), n = a.k.dim(2), d = a.q.dim(3), count = int64_t(rows.size());
  ZT_ASSIGN_OR_RETURN(Tensor q, ctx.arena->make(DType::f32, {1, count, d}));
  ZT_ASSIGN_OR_RETURN(Tensor k, ctx.arena->make(DType::f32, {1, n, d}));
  ZT_ASSIGN_OR_RETURN(Tensor out, ctx.arena->make(DType::f32, {heads, count, n}));
  std::vector<int32_t> all = spread(n, n), ones(size_t(n), 1);
  for (int64_t h = 0; h < heads; ++h) {
    gather_rows({a.q.select(0, 0).select(0, h), q.view().select(0, 0), rows}, ctx);
    gather_rows({a.k.select(0, 0).select(0, h), k.view().select(0, 0), all}, ctx);
    block_scores({q, k, float(1 / std::sqrt(double(d))), ones, out.view().slice(0, h, 1)}, ctx);
  }
  return out;
}

// Kept fraction of each pair of token blocks, whatever order the plan itself keeps them in.
std::vector<float> kept_map(const AttentionPlan& plan, int64_t head, int64_t block, int64_t blocks) {
  std::vector<float> kept(size_t(blocks * blocks), 1.f);
  if (plan.is_dense()) return kept;
  std::vector<uint8_t> keys(static_cast<size_t>(plan.nk()));
  std::fill(kept.begin(), kept.end(), 0.f);
  int64_t rows = std::min(kKeptRows, block);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      plan.expand_row(head, b * block + (2 * r + 1) * block / (2 * rows), keys);
      for (int64_t c = 0; c < blocks; ++c) {
        int64_t n = std::count(keys.begin() + c * block, keys.begin() + (c + 1) * block, 1);
        kept[size_t(b * blocks + c)] += float(n) / float(block * rows);
      }
    }
  }
  return kept;
}

// Dense attention over blocks, without its output: log-sum-exps [1, H, N] and sums of probabilities [H, blocks, blocks].
struct DenseLook {
  Tensor lse, mass;
};

Result<DenseLook> look(const TensorView& q, const TensorView& k, int64_t block, const ExecContext& ctx) {
  ZT_CHECK(q.dim(0) == 1);
  DenseLook out;
  ZT_ASSIGN_OR_RETURN(out.lse, ctx.arena->make(DType::f32, {1, q.dim(1), q.dim(2)}));
  ZT_ASSIGN_OR_RETURN(out.mass, block_mass_of({q.select(0, 0), k.select(0, 0)}, int(block), out.lse, {}, ctx));
  return out;
}

// `mass`: of this head, [blocks, blocks].
CapturedHead captured(const Site& site, const AttentionPlan& plan, int64_t head, int64_t block, const float* mass) {
  CapturedHead c;
  c.step = site.step, c.layer = site.layer, c.head = head, c.branch = site.branch, c.grid = site.grid;
  c.block = block, c.blocks = site.grid.tokens() / block, c.density = plan.density(head);
  c.mass.assign(mass, mass + c.blocks * c.blocks);
  for (float& x : c.mass) x /= float(block);
  c.kept = kept_map(plan, head, block, c.blocks);
  return c;
}

}  // namespace

bool CaptureChoice::wants(const Site& s) const {
  return s.kind == AttentionKind::self && (uncond || s.branch == Branch::cond) && (steps.empty() || steps.count(s.step)) &&
         (layers.empty() || layers.count(s.layer));
}

int64_t AttentionCapture::block_size(const Grid& g) {
  int64_t s = g.h * g.w, most = std::max(kSmallestBlock, g.tokens() / kMapSide), best = 1;
  for (int64_t b = 1; b <= std::min(s, most); ++b) {
    if (s % b == 0) best = b;
  }
  return best;
}

Result<CapturedHead> capture_map(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, int64_t head,
                                 const ExecContext& ctx) {
  int64_t block = AttentionCapture::block_size(site.grid);
  ZT_ASSIGN_OR_RETURN(DenseLook dense, look(args.q.slice(1, head, 1), args.k.slice(1, head, 1), block, ctx));
  ZT_ASSIGN_OR_RETURN(HostCopy mass, to_host(dense.mass, ctx));
  return captured(site, plan, head, block, mass.view.as<float>());
}

size_t AttentionCapture::bytes(const PolicyJob& job, const ExecContext& ctx) const {
  int64_t n = job.grid.tokens(), block = block_size(job.grid), blocks = n / block, rows = std::min(n, kDecayRows);
  auto floats = [](int64_t count) { return Arena::block_bytes(size_t(count) * sizeof(float)); };
  // The dense pass with its log-sum-exps, the few whole rows, the driver's log-sum-exps; two maps of the head that is handed on.
  return mass_bytes(job, int(block), 0, ctx) + 2 * floats(job.heads * n) + floats(rows * job.head_dim) + floats(n * job.head_dim) +
         floats(job.heads * rows * n) + 2 * floats(blocks * blocks);
}

bool AttentionCapture::wants_lse(const Site& site, const AttentionPlan& plan) const { return choice_.wants(site) && !is_exact(plan); }

Status AttentionCapture::after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord& record,
                               const ExecContext& ctx) {
  if (!choice_.wants(site)) return {};
  auto begin = std::chrono::steady_clock::now();
  auto lap = [&] {
    auto now = std::chrono::steady_clock::now();
    seconds_ += std::chrono::duration<double>(now - begin).count();
    begin = now;
  };
  int64_t heads = args.q.dim(1), n = args.q.dim(2), block = block_size(site.grid), blocks = n / block;
  ZT_ASSIGN_OR_RETURN(DenseLook dense, look(args.q, args.k, block, ctx));
  std::vector<int32_t> rows = spread(n, kDecayRows);
  ZT_ASSIGN_OR_RETURN(Tensor scores, probabilities(args, rows, ctx));
  ZT_ASSIGN_OR_RETURN(HostCopy probability, to_host(scores, ctx));
  ZT_ASSIGN_OR_RETURN(HostCopy mass, to_host(dense.mass, ctx));
  ZT_ASSIGN_OR_RETURN(HostCopy exact_lse, to_host(dense.lse, ctx));
  HostCopy plan_lse;
  if (!is_exact(plan)) {
    ZT_ASSIGN_OR_RETURN(plan_lse, to_host(args.lse, ctx));
  }

  for (int64_t h = 0; h < heads; ++h) {
    if (!choice_.heads.empty() && !choice_.heads.count(h)) continue;
    CapturedHead c = captured(site, plan, h, block, mass.view.as<float>() + h * blocks * blocks);
    c.seconds = record.seconds;
    if (!is_exact(plan)) {
      KeptShare share = kept_share({plan_lse.view.as<float>() + h * n, size_t(n)}, {exact_lse.view.as<float>() + h * n, size_t(n)});
      c.recall = share.mean, c.recall_worst = share.worst;
    }
    size_t row_floats = rows.size() * size_t(n);
    c.decay = decay_of({probability.view.as<float>() + size_t(h) * row_floats, row_floats}, rows, site.grid);
    lap();
    ZT_RETURN_IF_ERROR(sink_(c));
    begin = std::chrono::steady_clock::now();
  }
  return {};
}

}  // namespace zt
