#include "kernels/api/transfer.h"
#include "model/dit/block.h"

namespace zt {
namespace {

// All linears of the network in one place: packing and the estimate walk the same list.
struct LinearShapes {
  LinearDesc patch, text_1, text_2, time_1, time_2, time_projection, head;
  LinearDesc qkv, self_out, cross_q, cross_kv, cross_out, ffn_up, ffn_down;

  LinearShapes(const TransformerConfig& c, DType t) {
    int64_t d = c.dim(), patch_size = c.patch_t * c.patch_h * c.patch_w;
    constexpr DType f32 = DType::f32;
    patch = {c.in_channels * patch_size, d, f32, Activation::none};
    text_1 = {c.text_dim, d, t, Activation::gelu_tanh};
    text_2 = {d, d, t, Activation::none};
    time_1 = {c.freq_dim, d, f32, Activation::silu};
    time_2 = {d, d, f32, Activation::none};
    time_projection = {d, 6 * d, f32, Activation::none};
    head = {d, c.out_channels * patch_size, f32, Activation::none};
    qkv = {d, 3 * d, t, Activation::none};
    self_out = cross_q = cross_out = {d, d, t, Activation::none};
    cross_kv = {d, 2 * d, t, Activation::none};
    ffn_up = {d, c.ffn_dim, t, Activation::gelu_tanh};
    ffn_down = {c.ffn_dim, d, t, Activation::none};
  }
};

class Loader {
 public:
  // ctx null: only asks for names and shapes, so that a wrong model is refused before anything is read.
  Loader(WeightStore& store, const ExecContext* ctx) : store_(store), ctx_(ctx) {
    if (ctx) packing_ = *ctx;
  }

  // What comes next belongs to this block.
  void enter(const BlockStream& stream, int64_t block) {
    if (ctx_) packing_ = stream.packing(block, *ctx_);
  }

  TensorView get(const std::string& name, const Shape& shape) {
    if (ctx_) return store_.get(name, shape);
    store_.expect(name, shape);
    return {};
  }

  // The views of a named linear.
  LinearRows rows(const std::string& name, int64_t out, int64_t in) {
    return {get(name + ".weight", {out, in}), get(name + ".bias", {out})};
  }

  Status pack(LinearPtr& into, const LinearDesc& d, std::vector<LinearRows> rows) {
    if (!ctx_) return {};
    for (const auto& r : rows) {
      if (!r.weight || !r.bias) return store_.finish();  // which says what is wrong: names and shapes were good
    }
    ZT_ASSIGN_OR_RETURN(into, pack_linear(d, rows, packing_));
    for (const auto& r : rows) store_.drop(r.weight);
    bytes += into->bytes();
    return {};
  }

  Status vector(Tensor& into, const std::string& name, const Shape& stored, const Shape& shape) {
    TensorView v = get(name, stored);
    if (!ctx_) return {};
    if (!v) return store_.finish();
    ZT_ASSIGN_OR_RETURN(into, to_device(v, DType::f32, shape, packing_));
    bytes += into.view().bytes();
    return {};
  }

  bool cancelled() const { return ctx_ && ctx_->cancelled(); }

  size_t bytes = 0;

 private:
  WeightStore& store_;
  const ExecContext* ctx_;
  ExecContext packing_;
};

// Where a checkpoint trained for sparse-linear attention keeps the projection of the linear part: "attn1.proj_l" and the
// like, after "blocks.N."; empty = it has none. Names as in SLA (thu-ml/SLA), TurboDiffusion and their wrappers.
std::string find_projection(const TransformerConfig& c, const WeightStore& store) {
  for (int64_t i = 0; i < c.layers; ++i) {
    for (const char* module : {"attn1.", "self_attn."}) {
      for (const char* path : {"attn_op.local_attn.", "attn_impl.", "local_attn.", ""}) {
        std::string name = fmt::format("{}{}proj_l", module, path), at = fmt::format("blocks.{}.{}", i, name);
        if (store.has(at + ".weight") || store.has(at + ".bias")) return name;
      }
    }
  }
  return {};
}

Status load_block(const TransformerConfig& c, const LinearShapes& s, const std::string& at, const std::string& projection,
                  Loader& in, BlockWeights& b) {
  int64_t d = c.dim();
  auto square = [&](const std::string& name) { return in.rows(at + name, d, d); };
  ZT_RETURN_IF_ERROR(in.vector(b.modulation, at + "scale_shift_table", {1, 6, d}, {6, d}));
  ZT_RETURN_IF_ERROR(in.pack(b.qkv, s.qkv, {square("attn1.to_q"), square("attn1.to_k"), square("attn1.to_v")}));
  ZT_RETURN_IF_ERROR(in.pack(b.self_out, s.self_out, {square("attn1.to_out.0")}));
  ZT_RETURN_IF_ERROR(in.vector(b.norm_q, at + "attn1.norm_q.weight", {d}, {d}));
  ZT_RETURN_IF_ERROR(in.vector(b.norm_k, at + "attn1.norm_k.weight", {d}, {d}));
  // All layers or none: one that lacks it is reported as missing.
  if (!projection.empty()) {
    ZT_RETURN_IF_ERROR(in.vector(b.proj_weight, at + projection + ".weight", {c.head_dim, c.head_dim}, {c.head_dim, c.head_dim}));
    ZT_RETURN_IF_ERROR(in.vector(b.proj_bias, at + projection + ".bias", {c.head_dim}, {c.head_dim}));
  }
  ZT_RETURN_IF_ERROR(in.pack(b.cross_q, s.cross_q, {square("attn2.to_q")}));
  ZT_RETURN_IF_ERROR(in.pack(b.cross_kv, s.cross_kv, {square("attn2.to_k"), square("attn2.to_v")}));
  ZT_RETURN_IF_ERROR(in.pack(b.cross_out, s.cross_out, {square("attn2.to_out.0")}));
  ZT_RETURN_IF_ERROR(in.vector(b.cross_norm_q, at + "attn2.norm_q.weight", {d}, {d}));
  ZT_RETURN_IF_ERROR(in.vector(b.cross_norm_k, at + "attn2.norm_k.weight", {d}, {d}));
  if (c.cross_attn_norm) {
    ZT_RETURN_IF_ERROR(in.vector(b.cross_norm_weight, at + "norm2.weight", {d}, {d}));
    ZT_RETURN_IF_ERROR(in.vector(b.cross_norm_bias, at + "norm2.bias", {d}, {d}));
  }
  ZT_RETURN_IF_ERROR(in.pack(b.ffn_up, s.ffn_up, {in.rows(at + "ffn.net.0.proj", c.ffn_dim, d)}));
  return in.pack(b.ffn_down, s.ffn_down, {in.rows(at + "ffn.net.2", d, c.ffn_dim)});
}

// Every tensor of the network, in file order of the reference.
Status load_all(const TransformerConfig& c, const LinearShapes& s, const WeightStore& store, Loader& in, TransformerWeights& w) {
  int64_t d = c.dim(), patch = c.patch_t * c.patch_h * c.patch_w;
  TensorView pw = in.get("patch_embedding.weight", {d, c.in_channels, c.patch_t, c.patch_h, c.patch_w});
  LinearRows patch_rows{pw ? pw.reshape({d, c.in_channels * patch}) : pw, in.get("patch_embedding.bias", {d})};
  ZT_RETURN_IF_ERROR(in.pack(w.patch, s.patch, {patch_rows}));
  const std::string embed = "condition_embedder.";
  ZT_RETURN_IF_ERROR(in.pack(w.text_1, s.text_1, {in.rows(embed + "text_embedder.linear_1", d, c.text_dim)}));
  ZT_RETURN_IF_ERROR(in.pack(w.text_2, s.text_2, {in.rows(embed + "text_embedder.linear_2", d, d)}));
  ZT_RETURN_IF_ERROR(in.pack(w.time_1, s.time_1, {in.rows(embed + "time_embedder.linear_1", d, c.freq_dim)}));
  ZT_RETURN_IF_ERROR(in.pack(w.time_2, s.time_2, {in.rows(embed + "time_embedder.linear_2", d, d)}));
  ZT_RETURN_IF_ERROR(in.pack(w.time_projection, s.time_projection, {in.rows(embed + "time_proj", 6 * d, d)}));
  ZT_RETURN_IF_ERROR(in.pack(w.head, s.head, {in.rows("proj_out", c.out_channels * patch, d)}));
  ZT_RETURN_IF_ERROR(in.vector(w.head_modulation, "scale_shift_table", {1, 2, d}, {2, d}));
  w.blocks.resize(size_t(c.layers));
  const std::string projection = find_projection(c, store);
  for (int64_t i = 0; i < c.layers; ++i) {
    if (in.cancelled()) return Status(Code::kCancelled, "cancelled while loading the transformer");
    in.enter(w.stream, i);
    ZT_RETURN_IF_ERROR(load_block(c, s, fmt::format("blocks.{}.", i), projection, in, w.blocks[size_t(i)]));
  }
  return {};
}

}  // namespace

Status check_transformer_weights(const TransformerConfig& c, WeightStore& store) {
  store.rename_original_transformer();
  TransformerWeights unused;
  Loader in(store, nullptr);
  ZT_RETURN_IF_ERROR(load_all(c, LinearShapes(c, DType::f32), store, in, unused));
  return store.finish();
}

bool has_projection(const TransformerConfig& c, WeightStore& store) {
  store.rename_original_transformer();
  return !find_projection(c, store).empty();
}

Result<TransformerWeights> load_transformer_weights(const TransformerConfig& c, WeightStore& store, DType compute, bool streamed,
                                                    const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(check_transformer_weights(c, store));
  TransformerWeights w;
  if (streamed) {
    ZT_ASSIGN_OR_RETURN(w.stream, BlockStream::make(transformer_bytes(c, compute, has_projection(c, store)), ctx));
  }
  Loader in(store, &ctx);
  ZT_RETURN_IF_ERROR(load_all(c, LinearShapes(c, compute), store, in, w));
  w.bytes = in.bytes;
  return w;
}

ChainBytes transformer_bytes(const TransformerConfig& c, DType compute, bool projection) {
  LinearShapes s(c, compute);
  ChainBytes b;
  for (const auto* d : {&s.patch, &s.text_1, &s.text_2, &s.time_1, &s.time_2, &s.time_projection, &s.head}) b.rest += packed_linear_bytes(*d);
  const auto linears = {&s.qkv, &s.self_out, &s.cross_q, &s.cross_kv, &s.cross_out, &s.ffn_up, &s.ffn_down};
  for (const auto* d : linears) b.block += packed_linear_bytes(*d);
  const size_t vectors = size_t(c.dim()) * sizeof(float);
  b.rest += 2 * vectors, b.block += 12 * vectors;
  if (projection) b.block += size_t(c.head_dim * c.head_dim + c.head_dim) * sizeof(float);
  constexpr int64_t kVectors = 9;  // the Tensors of BlockWeights
  b.blocks = c.layers, b.tensors = int64_t(linears.size()) * kPackedTensors + kVectors;
  return b;
}

}  // namespace zt
