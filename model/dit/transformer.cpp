#include "model/dit/transformer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/api/ops.h"
#include "kernels/api/transfer.h"
#include "model/dit/block.h"
#include "model/dit/embedding.h"

namespace zt {
namespace {

// Keys and values of all layers for one prompt: per layer [rows, 2 dim], k normalised, v as projected.
class Context final : public TextContext {
 public:
  std::vector<Tensor> kv;
  PlanPtr plan;  // for `queries` tokens
  size_t bytes() const override {
    return std::accumulate(kv.begin(), kv.end(), size_t(0), [](size_t n, const Tensor& t) { return n + t.view().bytes(); });
  }
};

// Real rows in blocks of 64, then the row that stands for all padding, its logit raised by ln(how many it stands for).
Result<PlanPtr> cross_plan(int64_t queries, int64_t real, int64_t padding) {
  PlanParts p;
  p.q = Blocks::uniform(queries, 64);
  p.k = Blocks::uniform(real, 64);
  p.k_bias.assign(p.k.valid.size(), 0.f);
  if (padding > 0) {
    p.k.valid.push_back(1);
    p.k_bias.push_back(float(std::log(double(padding))));
  }
  p.dense = true;
  return AttentionPlan::make(std::move(p));
}

// [1, H, N, D] view of columns [at, at + H D) of a token matrix.
TensorView heads_view(const TensorView& rows, int64_t at, int64_t heads, int64_t head_dim) {
  TensorView v = rows.slice(1, at, heads * head_dim);
  TensorView out = v;
  out.shape = {1, heads, v.dim(0), head_dim};
  out.strides = {v.dim(0) * v.stride(0), head_dim, v.stride(0), 1, 0};
  return out;
}

// The same row for every group: stride 0.
TensorView repeated_row(const TensorView& row, int64_t groups) {
  TensorView v = row;
  v.shape = {groups, row.count()};
  v.strides = {0, 1, 0, 0, 0};
  return v;
}

struct Activations {
  Tensor x;         // residual stream [N, dim] f32
  Tensor h;         // normalised input of a linear, then attention output [N, dim]
  Tensor y;         // output of a linear before its residual add [N, dim]
  Tensor wide;      // [N, max(3 dim, ffn)]: q, k, v; cross q; FFN hidden; last, the f32 input of the head
  Tensor tokens;    // patches in and out [N, 4 C] f32
  RopeTables rope;
  Tensor time_sin, time_hidden, time_embed, time_silu, time_proj, modulation, head_modulation;  // one row a group
};

class WanTransformer final : public Transformer {
 public:
  WanTransformer(TransformerConfig config, DType compute, TransformerWeights weights)
      : c_(config), t_(compute), w_(std::move(weights)) {}

  Result<std::unique_ptr<TextContext>> encode_text(const TensorView& embeds, int64_t max_tokens, const ExecContext& ctx) const override;
  Status prepare(const Shape& latent, const ExecContext& ctx) override;
  Status forward(const TensorView& latent, const Conditioning& cond, AttentionDriver& attention, const TensorView& velocity,
                 const ExecContext& ctx) override;
  void release() override { a_ = {}, latent_ = {}; }
  size_t weight_bytes() const override { return w_.bytes; }
  Grid grid() const override { return grid_; }

 private:
  struct Pass {  // what the blocks of one forward share
    const Conditioning& cond;
    const Context& text;
    AttentionDriver& attention;
    int64_t groups, rows_per_group;
    const ExecContext& ctx;
  };

  void linear(const PackedLinear& l, const TensorView& x, const TensorView& y, const ExecContext& ctx) const {
    ProfileZone zone(ctx.profiler, "linear", 2.0 * double(x.dim(0)) * double(l.desc().in) * double(l.desc().out));
    l.run(x, y, ctx);
  }
  void run_norm(const NormArgs& args, const ExecContext& ctx) const {
    ProfileZone zone(ctx.profiler, "norm");
    norm(args, ctx);
  }
  Status ensure_groups(int64_t groups, const ExecContext& ctx);
  Status embed_time(const Pass& p);
  void block_modulation(int64_t layer, const Pass& p);
  // Parts in the order of the table: shift, scale, gate of attention, shift, scale of the FFN.
  TensorView modulation(int i) const { return a_.modulation.view().select(0, i); }
  // The FFN's gate is read by the first norm of the next block, when that block's modulation is already made: two take turns.
  TensorView ffn_gate(int64_t layer) const { return modulation(5 + int(layer % 2)); }
  Status self_attention(int64_t layer, const Pass& p);
  Status cross_attention(int64_t layer, const Pass& p);
  void feed_forward(int64_t layer, const Pass& p);
  void head(const Pass& p, const TensorView& velocity);
  Site site(int64_t layer, AttentionKind kind, const Pass& p) const {
    return {layer, c_.layers, p.cond.step, p.cond.steps, p.cond.branch, kind, grid_};
  }
  TensorView wide(int64_t columns) const { return a_.wide.view().overlay(t_, {grid_.tokens(), columns}); }

  TransformerConfig c_;
  DType t_;
  TransformerWeights w_;
  Activations a_;
  Grid grid_;
  Shape latent_;
};

Result<std::unique_ptr<TextContext>> WanTransformer::encode_text(const TensorView& embeds, int64_t max_tokens, const ExecContext& ctx) const {
  int64_t real = embeds.dim(0), d = c_.dim();
  if (embeds.rank() != 2 || embeds.dim(1) != c_.text_dim) {
    return invalid("prompt embeddings are {}, the model takes [tokens, {}]", embeds.shape.str(), c_.text_dim);
  }
  if (real > max_tokens) return invalid("prompt embeddings have {} rows, the model takes at most {}", real, max_tokens);
  int64_t padding = max_tokens - real, rows = real + (padding > 0 ? 1 : 0);
  if (rows == 0) return invalid("prompt embeddings are empty and the model has no text positions");

  auto context = std::make_unique<Context>();
  ZT_ASSIGN_OR_RETURN(Tensor in, ctx.arena->zeros(t_, {rows, c_.text_dim}));
  if (real > 0) {
    ZT_ASSIGN_OR_RETURN(HostWrite top, HostWrite::make(in.view().slice(0, 0, real), ctx));
    convert_floats(embeds.data, embeds.dtype, top.view().data, t_, embeds.count());
    ZT_RETURN_IF_ERROR(top.finish(ctx));
  }
  ZT_ASSIGN_OR_RETURN(Tensor hidden, ctx.arena->make(t_, {rows, d}));
  ZT_ASSIGN_OR_RETURN(Tensor text, ctx.arena->make(t_, {rows, d}));
  linear(*w_.text_1, in, hidden, ctx);
  linear(*w_.text_2, hidden, text, ctx);
  for (int64_t layer = 0; layer < c_.layers; ++layer) {
    w_.stream.use(layer);
    const BlockWeights& b = w_.blocks[size_t(layer)];
    ZT_ASSIGN_OR_RETURN(Tensor kv, ctx.arena->make(t_, {rows, 2 * d}));
    linear(*b.cross_kv, text, kv, ctx);
    TensorView k = kv.view().slice(1, 0, d);
    qk_norm_rope({k, b.cross_norm_k, {}, {}, c_.heads, c_.eps, k}, ctx);
    context->kv.push_back(std::move(kv));
  }
  ZT_ASSIGN_OR_RETURN(context->plan, cross_plan(grid_.tokens(), real, padding));
  return std::unique_ptr<TextContext>(std::move(context));
}

Status WanTransformer::prepare(const Shape& latent, const ExecContext& ctx) {
  if (latent_ == latent && a_.x) return {};
  if (latent.rank() != 4 || latent[0] != c_.in_channels || latent[1] < 1 || latent[2] < 2 || latent[3] < 2 || latent[2] % 2 ||
      latent[3] % 2) {
    return invalid("latent {}: the model takes [{}, T, H, W] with H and W even", latent.str(), c_.in_channels);
  }
  release();
  grid_ = token_grid(c_, latent);
  int64_t n = grid_.tokens(), d = c_.dim(), patch = c_.patch_t * c_.patch_h * c_.patch_w;
  auto& arena = *ctx.arena;
  ZT_ASSIGN_OR_RETURN(a_.x, arena.make(DType::f32, {n, d}));
  ZT_ASSIGN_OR_RETURN(a_.h, arena.make(t_, {n, d}));
  ZT_ASSIGN_OR_RETURN(a_.y, arena.make(t_, {n, d}));
  ZT_ASSIGN_OR_RETURN(a_.wide, arena.make(t_, {n, std::max(3 * d, c_.ffn_dim)}));
  ZT_ASSIGN_OR_RETURN(a_.tokens, arena.make(DType::f32, {n, patch * std::max(c_.in_channels, c_.out_channels)}));
  ZT_ASSIGN_OR_RETURN(a_.rope, make_rope(grid_, c_.head_dim, ctx));
  ZT_RETURN_IF_ERROR(ensure_groups(1, ctx));
  latent_ = latent;
  return {};
}

Status WanTransformer::ensure_groups(int64_t groups, const ExecContext& ctx) {
  if (a_.time_sin && a_.time_sin.shape()[0] == groups) return {};
  int64_t d = c_.dim();
  auto& arena = *ctx.arena;
  ZT_ASSIGN_OR_RETURN(a_.time_sin, arena.make(DType::f32, {groups, c_.freq_dim}));
  ZT_ASSIGN_OR_RETURN(a_.time_hidden, arena.make(DType::f32, {groups, d}));
  ZT_ASSIGN_OR_RETURN(a_.time_embed, arena.make(DType::f32, {groups, d}));
  ZT_ASSIGN_OR_RETURN(a_.time_silu, arena.make(DType::f32, {groups, d}));
  ZT_ASSIGN_OR_RETURN(a_.time_proj, arena.make(DType::f32, {groups, 6 * d}));
  ZT_ASSIGN_OR_RETURN(a_.modulation, arena.make(DType::f32, {7, groups, d}));
  ZT_ASSIGN_OR_RETURN(a_.head_modulation, arena.make(DType::f32, {2, groups, d}));
  return {};
}

Status WanTransformer::embed_time(const Pass& p) {
  std::vector<float> waves(size_t(p.groups * c_.freq_dim));
  timestep_embedding(p.cond.frame_timesteps, c_.freq_dim, waves);
  ZT_RETURN_IF_ERROR(copy_values(TensorView(waves.data(), DType::f32, a_.time_sin.shape()), a_.time_sin, p.ctx));
  linear(*w_.time_1, a_.time_sin, a_.time_hidden, p.ctx);
  linear(*w_.time_2, a_.time_hidden, a_.time_embed, p.ctx);
  elementwise({Elementwise::silu, a_.time_embed, {}, a_.time_silu}, p.ctx);
  linear(*w_.time_projection, a_.time_silu, a_.time_proj, p.ctx);
  // The head uses the embedding itself, the blocks its projection.
  for (int i = 0; i < 2; ++i) {
    TensorView row = repeated_row(w_.head_modulation.view().select(0, i), p.groups);
    elementwise({Elementwise::add, a_.time_embed, row, a_.head_modulation.view().select(0, i)}, p.ctx);
  }
  return {};
}

void WanTransformer::block_modulation(int64_t layer, const Pass& p) {
  int64_t d = c_.dim();
  TensorView table = w_.blocks[size_t(layer)].modulation;
  for (int i = 0; i < 6; ++i) {
    TensorView projected = a_.time_proj.view().slice(1, i * d, d), out = i < 5 ? modulation(i) : ffn_gate(layer);
    elementwise({Elementwise::add, projected, repeated_row(table.select(0, i), p.groups), out}, p.ctx);
  }
}

Status WanTransformer::self_attention(int64_t layer, const Pass& p) {
  const BlockWeights& b = w_.blocks[size_t(layer)];
  int64_t d = c_.dim();
  TensorView qkv = wide(3 * d);
  linear(*b.qkv, a_.h, qkv, p.ctx);
  for (int i = 0; i < 2; ++i) {
    ProfileZone zone(p.ctx.profiler, "rope");
    TensorView part = qkv.slice(1, i * d, d);
    qk_norm_rope({part, i == 0 ? b.norm_q : b.norm_k, a_.rope.cos, a_.rope.sin, c_.heads, c_.eps, part}, p.ctx);
  }
  AttentionArgs args;
  args.q = heads_view(qkv, 0, c_.heads, c_.head_dim);
  args.k = heads_view(qkv, d, c_.heads, c_.head_dim);
  args.v = heads_view(qkv, 2 * d, c_.heads, c_.head_dim);
  args.out = heads_view(a_.h, 0, c_.heads, c_.head_dim);
  args.proj_weight = b.proj_weight, args.proj_bias = b.proj_bias;
  ZT_RETURN_IF_ERROR(p.attention.attend(site(layer, AttentionKind::self, p), args, nullptr, p.ctx));
  linear(*b.self_out, a_.h, a_.y, p.ctx);
  return {};
}

Status WanTransformer::cross_attention(int64_t layer, const Pass& p) {
  const BlockWeights& b = w_.blocks[size_t(layer)];
  int64_t d = c_.dim();
  TensorView q = wide(d);
  linear(*b.cross_q, a_.h, q, p.ctx);
  qk_norm_rope({q, b.cross_norm_q, {}, {}, c_.heads, c_.eps, q}, p.ctx);
  const TensorView kv = p.text.kv[size_t(layer)];
  AttentionArgs args;
  args.q = heads_view(q, 0, c_.heads, c_.head_dim);
  args.k = heads_view(kv, 0, c_.heads, c_.head_dim);
  args.v = heads_view(kv, d, c_.heads, c_.head_dim);
  args.out = heads_view(a_.h, 0, c_.heads, c_.head_dim);
  ZT_RETURN_IF_ERROR(p.attention.attend(site(layer, AttentionKind::cross, p), args, p.text.plan, p.ctx));
  linear(*b.cross_out, a_.h, a_.y, p.ctx);
  return {};
}

void WanTransformer::feed_forward(int64_t layer, const Pass& p) {
  const BlockWeights& b = w_.blocks[size_t(layer)];
  TensorView hidden = wide(c_.ffn_dim);
  linear(*b.ffn_up, a_.h, hidden, p.ctx);
  linear(*b.ffn_down, hidden, a_.y, p.ctx);
}

void WanTransformer::head(const Pass& p, const TensorView& velocity) {
  int64_t n = grid_.tokens(), patch = c_.patch_t * c_.patch_h * c_.patch_w;
  // `wide` holds at least 3 dim elements of 2 bytes a row, room for dim floats.
  TensorView in = a_.wide.view().overlay(DType::f32, {n, c_.dim()});
  NormArgs last;
  last.x = a_.x, last.y = a_.y, last.gate = ffn_gate(c_.layers - 1);
  last.shift = a_.head_modulation.view().select(0, 0), last.scale = a_.head_modulation.view().select(0, 1);
  last.add_one = true, last.rows_per_group = p.rows_per_group, last.eps = c_.eps, last.out = in;
  run_norm(last, p.ctx);
  TensorView out = a_.tokens.view().overlay(DType::f32, {n, patch * c_.out_channels});
  linear(*w_.head, in, out, p.ctx);
  unpatchify({out, velocity, c_.patch_h, c_.patch_w}, p.ctx);
}

Status WanTransformer::forward(const TensorView& latent, const Conditioning& cond, AttentionDriver& attention,
                               const TensorView& velocity, const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(prepare(latent.shape, ctx));
  int64_t groups = int64_t(cond.frame_timesteps.size());
  ZT_CHECK(groups == 1 || groups == grid_.t);
  ZT_RETURN_IF_ERROR(ensure_groups(groups, ctx));
  const auto* text = dynamic_cast<const Context*>(cond.text);
  ZT_CHECK(text && text->plan->nq() == grid_.tokens());
  Pass p{cond, *text, attention, groups, grid_.tokens() / groups, ctx};

  ZT_RETURN_IF_ERROR(embed_time(p));
  TensorView tokens = a_.tokens.view().overlay(DType::f32, {grid_.tokens(), c_.in_channels * c_.patch_t * c_.patch_h * c_.patch_w});
  patchify({latent, tokens, c_.patch_h, c_.patch_w}, ctx);
  linear(*w_.patch, tokens, a_.x, ctx);

  NormArgs step;  // residual add of the part before, then the norm of the part after
  step.x = a_.x, step.out = a_.h, step.eps = c_.eps, step.rows_per_group = p.rows_per_group;
  for (int64_t layer = 0; layer < c_.layers; ++layer) {
    if (ctx.cancelled()) return Status(Code::kCancelled, fmt::format("cancelled in step {}, block {}", cond.step + 1, layer));
    w_.stream.use(layer);
    const BlockWeights& b = w_.blocks[size_t(layer)];
    NormArgs a = step;
    if (layer > 0) a.y = a_.y, a.gate = ffn_gate(layer - 1);
    block_modulation(layer, p);
    a.shift = modulation(0), a.scale = modulation(1), a.add_one = true;
    run_norm(a, ctx);
    ZT_RETURN_IF_ERROR(self_attention(layer, p));

    NormArgs c = step;
    c.y = a_.y, c.gate = modulation(2);
    c.kind = c_.cross_attn_norm ? NormKind::layer : NormKind::none;
    if (c_.cross_attn_norm) c.scale = repeated_row(b.cross_norm_weight, groups), c.shift = repeated_row(b.cross_norm_bias, groups);
    run_norm(c, ctx);
    ZT_RETURN_IF_ERROR(cross_attention(layer, p));

    NormArgs f = step;
    f.y = a_.y, f.shift = modulation(3), f.scale = modulation(4), f.add_one = true;
    run_norm(f, ctx);
    feed_forward(layer, p);
  }
  head(p, velocity);
  return {};
}

}  // namespace

Result<std::unique_ptr<Transformer>> Transformer::load(const TransformerConfig& config, WeightStore& store, DType compute,
                                                       const ExecContext& ctx, bool streamed) {
  ZT_ASSIGN_OR_RETURN(TransformerWeights w, load_transformer_weights(config, store, compute, streamed, ctx));
  return std::unique_ptr<Transformer>(std::make_unique<WanTransformer>(config, compute, std::move(w)));
}

DitMemory dit_memory(const TransformerConfig& c, const Shape& latent, int64_t text_rows, DType compute, bool projection,
                     const ExecContext& ctx) {
  Grid g = token_grid(c, latent);
  int64_t n = g.tokens(), d = c.dim(), patch = c.patch_t * c.patch_h * c.patch_w;
  size_t t = dtype_size(compute), f = sizeof(float);
  DitMemory m;
  m.weights = transformer_bytes(c, compute, projection);
  m.text_context = size_t(c.layers * (text_rows + 1) * 2 * d) * t;
  m.text_working = size_t((text_rows + 1) * (c.text_dim + 2 * d)) * t;
  size_t row = size_t(d) * f + size_t(2 * d + std::max(3 * d, c.ffn_dim)) * t + size_t(patch * std::max(c.in_channels, c.out_channels)) * f +
               size_t(c.head_dim) * f;
  AttentionProblem p{1, c.heads, c.head_dim, compute, 0, false};
  size_t time = size_t(c.freq_dim + 18 * d) * f;  // what ensure_groups makes for one group
  m.activations = size_t(n) * row + time + dense_workspace(n, n, p, ctx);
  return m;
}

}  // namespace zt
