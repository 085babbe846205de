#include "app/engine/watch.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "app/analysis/attention_capture.h"
#include "kernels/api/transfer.h"

namespace zt {
namespace {

uint8_t to_byte(float v) { return uint8_t(std::lround((std::clamp(v, -1.f, 1.f) + 1) * 127.5f)); }

// Kept share of each block pair, [query blocks, key blocks].
std::vector<float> kept_blocks(const AttentionPlan& plan, int64_t set) {
  const PlanParts& p = plan.parts();
  std::vector<float> kept(size_t(p.q.count() * p.k.count()));
  for (int64_t q = 0; q < p.q.count(); ++q) {
    AttentionPlan::Row row = plan.row(set, q);
    for (size_t i = 0; i < row.cols.size(); ++i) {
      int32_t k = row.cols[i], m = row.masks.empty() ? -1 : row.masks[i];
      double pairs = double(p.q.valid[size_t(q)]) * double(p.k.valid[size_t(k)]), on = m < 0 ? pairs : 0;
      for (int64_t w = 0; m >= 0 && w < p.mask_size(); ++w) on += std::popcount(plan.mask(m)[w]);
      kept[size_t(q * p.k.count() + k)] = float(on / pairs);
    }
  }
  return kept;
}

std::vector<int32_t> blocks_of_tokens(const std::vector<int64_t>& starts, const TokenOrder& order, int64_t head) {
  int set = order.sets > 0 ? order.set_of(head) : -1;
  std::vector<int32_t> blocks(size_t(starts.back()));
  for (size_t b = 0; b + 1 < starts.size(); ++b) {
    for (int64_t slot = starts[b]; slot < starts[b + 1]; ++slot) {
      int64_t token = set < 0 ? slot : order.order[size_t(set * starts.back() + slot)];
      blocks[size_t(token)] = int32_t(b);
    }
  }
  return blocks;
}

}  // namespace

AttentionTable attention_table(std::span<const AttentionRecord> records, const StepInfo& info, const TransformerConfig& model,
                               bool measured) {
  AttentionTable t;
  t.step = info.step, t.steps = info.steps, t.layers = model.layers, t.heads = model.heads;
  size_t heads = size_t(t.heads), cells = size_t(t.layers) * heads;
  t.density.assign(cells, 0), t.recall.assign(cells, 0), t.time_ms.assign(cells, 0);
  std::vector<float> passes(cells, 0);
  for (const AttentionRecord& r : records) {
    for (size_t h = 0; r.layer < t.layers && h < std::min(heads, r.heads.size()); ++h) {
      size_t cell = size_t(r.layer) * heads + h;
      t.density[cell] += float(r.heads[h].density), t.recall[cell] += float(r.heads[h].recall);
      t.time_ms[cell] += float(r.seconds * 1e3 / double(heads)), passes[cell] += 1;
    }
  }
  for (size_t i = 0; i < cells; ++i) {
    if (passes[i] > 0) t.density[i] /= passes[i], t.recall[i] /= passes[i];
    if (!measured && t.density[i] < 1) t.recall[i] = -1;
  }
  return t;
}

Status PlanWatch::after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord&,
                        const ExecContext& ctx) {
  if (site.kind != AttentionKind::self || site.branch != Branch::cond) return {};
  send_plan(site, plan, args.q.dim(1));
  MeasuredHead wanted = measured_();
  if (wanted.layer != site.layer || wanted.head >= args.q.dim(1)) return {};
  int64_t block = AttentionCapture::block_size(site.grid);
  if (site.grid.tokens() / block > kMostBlocks) return {};
  ZT_ASSIGN_OR_RETURN(CapturedHead c, capture_map(site, plan, args, wanted.head, ctx));
  AttentionMap m;
  m.step = site.step + 1, m.layer = site.layer, m.head = wanted.head;
  m.grid_t = site.grid.t, m.grid_h = site.grid.h, m.grid_w = site.grid.w;
  m.query_block = m.key_block = c.block, m.rows = m.cols = c.blocks;
  m.mass = std::move(c.mass), m.kept = std::move(c.kept);
  send_(std::move(m));
  return {};
}

void PlanWatch::send_plan(const Site& site, const AttentionPlan& plan, int64_t heads) {
  const PlanParts& p = plan.parts();
  if (plan.is_dense() || p.q.count() > kMostBlocks || p.k.count() > kMostBlocks) return;
  bool shared =
      p.heads == 1 && p.q_order.sets <= 1 && p.k_order.sets <= 1 && p.q_order.head_set.empty() && p.k_order.head_set.empty();
  for (int64_t head = 0; head < (shared ? 1 : heads); ++head) {
    std::vector<float> kept = kept_blocks(plan, plan.set_of(head));
    std::vector<float>& before = sent_[{site.layer, head}];
    if (kept == before) continue;
    before = kept;
    AttentionMap m;
    m.step = site.step + 1, m.layer = site.layer, m.head = shared ? -1 : head;
    m.grid_t = site.grid.t, m.grid_h = site.grid.h, m.grid_w = site.grid.w;
    m.query_block = p.q.block, m.key_block = p.k.block;
    m.query_block_of = blocks_of_tokens(plan.q_starts(), p.q_order, head);
    m.key_block_of = blocks_of_tokens(plan.k_starts(), p.k_order, head);
    m.rows = p.q.count(), m.cols = p.k.count(), m.kept = std::move(kept);
    send_(std::move(m));
  }
}

void PreviewMaker::prepare(TextToVideo& pipeline, const ExecContext& ctx) {
  spent_s_ = job_s_ = 0;
  const std::string& root = pipeline.model().root;
  if (pipeline.keep_all()) {
    // Wanted at the end anyway: its loading is no cost of the previews. If it fails, so does the job, later and by name.
    (void)pipeline.load_decoder(ctx);
    return;
  }
  if (fitted_ == root) return;
  auto colours = LatentColours::fit(pipeline, ctx);
  if (colours.ok()) {
    colours_ = std::move(*colours), fitted_ = root;
  } else {
    colours_.reset();
  }
}

// The latent frame in the middle, decoded as if the clip began there.
Clip PreviewMaker::decode(TextToVideo& pipeline, const StepInfo& info, const ExecContext& ctx) const {
  int64_t channels = info.x0.dim(0), t = info.x0.dim(1), area = info.x0.dim(2) * info.x0.dim(3);
  const float* z = info.x0.as<float>();
  auto one = host_arena(ctx).make(DType::f32, Shape{channels, 1, info.x0.dim(2), info.x0.dim(3)});
  if (!one.ok()) return nullptr;
  for (int64_t c = 0; c < channels; ++c) std::copy_n(z + (c * t + t / 2) * area, area, one->as<float>() + c * area);
  auto clip = std::make_shared<ClipFrames>();
  FrameSink sink = [&](const TensorView& f) {
    clip->height = f.dim(0), clip->width = f.dim(1), clip->frames = 1;
    clip->rgb.resize(size_t(f.count()));
    std::transform(f.as<float>(), f.as<float>() + f.count(), clip->rgb.begin(), to_byte);
    return ok_status();
  };
  return pipeline.decode(*one, false, sink, ctx).ok() ? clip : nullptr;
}

Clip PreviewMaker::make(TextToVideo& pipeline, const StepInfo& info, double fps, const ExecContext& ctx) {
  constexpr double kShare = 0.1;
  job_s_ += info.seconds;
  if (spent_s_ > kShare * job_s_ || info.step == info.steps) return nullptr;
  auto begin = std::chrono::steady_clock::now();
  Clip clip;
  if (pipeline.keep_all()) {
    clip = decode(pipeline, info, ctx);
  } else if (colours_) {
    clip = colours_->picture(info.x0, fps / double(pipeline.model().vae_config.temporal_factor()));
  }
  spent_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return clip;
}

}  // namespace zt
