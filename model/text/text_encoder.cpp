#include "model/text/text_encoder.h"

#include <array>
#include <vector>

#include "kernels/api/linear.h"
#include "kernels/api/ops.h"
#include "kernels/api/transfer.h"
#include "kernels/core/parallel.h"
#include "model/text/relative_bias.h"

namespace zt {
namespace {

using LinearPtr = std::unique_ptr<PackedLinear>;

// The linears of one layer: packing and the estimate read the same list.
struct Shapes {
  LinearDesc qkv, out, gate, up, down;
  Shapes(const TextConfig& c, DType t) {
    int64_t inner = c.heads * c.d_kv;
    qkv = {c.d_model, 3 * inner, t, Activation::none};
    out = {inner, c.d_model, t, Activation::none};
    gate = {c.d_model, c.d_ff, t, Activation::gelu_tanh};  // wi_0; only with a gated feed-forward
    up = {c.d_model, c.d_ff, t, Activation::none};         // wi_1, or wi without a gate
    down = {c.d_ff, c.d_model, t, Activation::none};
  }
  size_t bytes(bool gated) const {
    return packed_linear_bytes(qkv) + packed_linear_bytes(out) + packed_linear_bytes(up) + packed_linear_bytes(down) +
           (gated ? packed_linear_bytes(gate) : 0);
  }
};

struct Layer {
  LinearPtr qkv, out, gate, up, down;
  Tensor attention_norm, ffn_norm;  // [1, d_model]
  std::vector<float> bias;          // [buckets, heads]; empty where the first layer's serves
};

class Loader {
 public:
  // ctx null: only asks for names and shapes.
  Loader(WeightStore& store, const ExecContext* ctx) : store_(store), ctx_(ctx) {
    if (ctx) packing_ = *ctx;
  }

  // What comes next belongs to this layer.
  void enter(const BlockStream& stream, int64_t layer) {
    if (ctx_) packing_ = stream.packing(layer, *ctx_);
  }
  // And from here on to none.
  void leave() {
    if (ctx_) packing_ = *ctx_;
  }

  Status pack(LinearPtr& into, const LinearDesc& d, std::initializer_list<std::string> names) {
    std::vector<LinearRows> rows;
    for (const std::string& name : names)
      rows.push_back({store_.get(name + ".weight", {d.out / int64_t(names.size()), d.in}), {}});
    if (!ctx_) return ok_status();
    ZT_ASSIGN_OR_RETURN(into, pack_linear(d, rows, packing_));
    for (const LinearRows& r : rows) store_.drop(r.weight);
    bytes += into->bytes();
    return ok_status();
  }

  Status floats(Tensor& into, const std::string& name, const Shape& stored, const Shape& shape) {
    TensorView v = store_.get(name, stored);
    if (!ctx_) return ok_status();
    ZT_ASSIGN_OR_RETURN(into, to_device(v, DType::f32, shape, packing_));
    bytes += into.view().bytes();
    return ok_status();
  }

  // What the host computes with.
  void host_floats(std::vector<float>& into, const std::string& name, const Shape& shape) {
    TensorView v = store_.get(name, shape);
    if (!ctx_) return;
    into.resize(size_t(v.count()));
    convert_floats(v.data, v.dtype, into.data(), DType::f32, v.count());
  }

  bool cancelled() const { return ctx_ && ctx_->cancelled(); }

  size_t bytes = 0;

 private:
  WeightStore& store_;
  const ExecContext* ctx_;
  ExecContext packing_;
};

struct Weights {
  TensorView table;    // [vocab, d_model], in the file
  BlockStream stream;  // says when a layer's weights may be read
  std::vector<Layer> layers;
  Tensor final_norm;  // [1, d_model]
};

Status load_all(const TextConfig& c, const Shapes& s, WeightStore& store, Loader& in, Weights& w) {
  w.table = store.get("shared.weight", {c.vocab, c.d_model});
  w.layers.resize(size_t(c.layers));
  for (int64_t i = 0; i < c.layers; ++i) {
    if (in.cancelled()) return Status(Code::kCancelled, "cancelled while loading the text encoder");
    in.enter(w.stream, i);
    Layer& l = w.layers[size_t(i)];
    std::string block = fmt::format("encoder.block.{}.layer.", i), attention = block + "0.SelfAttention.";
    ZT_RETURN_IF_ERROR(in.floats(l.attention_norm, block + "0.layer_norm.weight", {c.d_model}, {1, c.d_model}));
    ZT_RETURN_IF_ERROR(in.pack(l.qkv, s.qkv, {attention + "q", attention + "k", attention + "v"}));
    ZT_RETURN_IF_ERROR(in.pack(l.out, s.out, {attention + "o"}));
    if (i == 0 || c.bias_per_layer) in.host_floats(l.bias, attention + "relative_attention_bias.weight", {c.buckets, c.heads});
    std::string ffn = block + "1.DenseReluDense.";
    ZT_RETURN_IF_ERROR(in.floats(l.ffn_norm, block + "1.layer_norm.weight", {c.d_model}, {1, c.d_model}));
    if (c.gated_gelu) ZT_RETURN_IF_ERROR(in.pack(l.gate, s.gate, {ffn + "wi_0"}));
    ZT_RETURN_IF_ERROR(in.pack(l.up, s.up, {ffn + (c.gated_gelu ? "wi_1" : "wi")}));
    ZT_RETURN_IF_ERROR(in.pack(l.down, s.down, {ffn + "wo"}));
  }
  in.leave();
  return in.floats(w.final_norm, "encoder.final_layer_norm.weight", {c.d_model}, {1, c.d_model});
}

// [n, heads * d] with row stride `stride` as [heads, n, d].
TensorView as_heads(const TensorView& rows, int64_t column, int64_t heads, int64_t d) {
  TensorView v = rows.overlay(rows.dtype, {heads, rows.dim(0), d}, size_t(column) * dtype_size(rows.dtype));
  v.strides[0] = d, v.strides[1] = rows.stride(0);
  return v;
}

class Umt5Encoder final : public TextEncoder {
 public:
  Umt5Encoder(const TextConfig& c, const WeightStore& store, DType compute) : c_(c), store_(store), compute_(compute) {}

  Status load(bool streamed, const ExecContext& ctx) {
    if (streamed) {
      ZT_ASSIGN_OR_RETURN(w_.stream, BlockStream::make(text_memory(c_, 1, compute_).weights, ctx));
    }
    Loader in(store_, &ctx);
    ZT_RETURN_IF_ERROR(load_all(c_, Shapes(c_, compute_), store_, in, w_));
    bytes_ = in.bytes;
    return ok_status();
  }

  size_t weight_bytes() const override { return bytes_; }

  Result<Tensor> encode(std::span<const int32_t> ids, const ExecContext& ctx) const override {
    int64_t n = int64_t(ids.size());
    if (n == 0) return invalid("the text encoder was given no tokens");
    for (int32_t id : ids) {
      if (id < 0 || id >= c_.vocab) return bad_model("token id {} is outside the text encoder's table of {} rows", id, c_.vocab);
    }
    const int64_t inner = c_.heads * c_.d_kv;
    Arena& arena = *ctx.arena;
    ZT_ASSIGN_OR_RETURN(Tensor x, arena.make(DType::f32, {n, c_.d_model}));  // residual stream
    ZT_ASSIGN_OR_RETURN(Tensor y, arena.make(DType::f32, {n, c_.d_model}));  // what a sub-layer adds to it
    ZT_ASSIGN_OR_RETURN(Tensor h, arena.make(compute_, {n, c_.d_model}));    // its normalised copy
    ZT_ASSIGN_OR_RETURN(Tensor qkv, arena.make(compute_, {n, 3 * inner}));
    ZT_ASSIGN_OR_RETURN(Tensor attention, arena.make(compute_, {n, inner}));
    ZT_ASSIGN_OR_RETURN(Tensor bias, arena.make(DType::f32, {c_.heads, n, n}));
    ZT_ASSIGN_OR_RETURN(Tensor up, arena.make(DType::f32, {n, c_.d_ff}));
    ZT_ASSIGN_OR_RETURN(Tensor gate, arena.make(DType::f32, {c_.gated_gelu ? n : 1, c_.d_ff}));
    ZT_ASSIGN_OR_RETURN(Tensor hidden, arena.make(compute_, {n, c_.d_ff}));
    ZT_ASSIGN_OR_RETURN(Tensor out, arena.make(DType::f32, {n, c_.d_model}));
    const std::vector<int64_t> buckets = relative_buckets(n, c_.buckets, c_.max_distance);

    gather_rows({w_.table, x, ids}, ctx);
    TensorView pending;  // y when it still has to be added to x
    for (int64_t i = 0; i < c_.layers; ++i) {
      if (ctx.cancelled()) return Status(Code::kCancelled, "cancelled while encoding the prompt");
      w_.stream.use(i);
      const Layer& l = w_.layers[size_t(i)];
      rms(x, pending, l.attention_norm, h, ctx);
      l.qkv->run(h, qkv, ctx);
      if (!l.bias.empty()) ZT_RETURN_IF_ERROR(fill_bias(l.bias.data(), buckets, bias, ctx));
      auto part = [&](int64_t p) { return as_heads(qkv, p * inner, c_.heads, c_.d_kv); };
      bias_attention({part(0), part(1), part(2), as_heads(attention, 0, c_.heads, c_.d_kv), bias, 1.f}, ctx);
      l.out->run(attention, y, ctx);
      rms(x, y, l.ffn_norm, h, ctx);
      l.up->run(h, up, ctx);
      if (c_.gated_gelu) {
        l.gate->run(h, gate, ctx);
        elementwise({Elementwise::mul, gate, up, hidden}, ctx);
      } else {
        elementwise({Elementwise::relu, up, {}, hidden}, ctx);
      }
      l.down->run(hidden, y, ctx);
      pending = y;
    }
    rms(x, pending, w_.final_norm, out, ctx);
    return out;
  }

 private:
  // x += y when y is given; out = rms(x) * weight.
  void rms(const TensorView& x, const TensorView& y, const TensorView& weight, const TensorView& out,
           const ExecContext& ctx) const {
    NormArgs a;
    a.x = x, a.y = y, a.scale = weight, a.out = out;
    a.kind = NormKind::rms, a.eps = c_.eps;
    norm(a, ctx);
  }

  Status fill_bias(const float* t, const std::vector<int64_t>& buckets, const TensorView& bias, const ExecContext& ctx) const {
    const int64_t n = bias.dim(1), heads = c_.heads;
    ZT_ASSIGN_OR_RETURN(HostWrite to, HostWrite::make(bias, ctx));
    float* b = to.view().as<float>();
    parallel_for(ctx.threads, heads, [&](int64_t head) {
      std::vector<float> by_delta(buckets.size());
      for (size_t i = 0; i < buckets.size(); ++i) by_delta[i] = t[buckets[i] * heads + head];
      for (int64_t q = 0; q < n; ++q) std::copy_n(by_delta.data() + (n - 1 - q), n, b + (head * n + q) * n);
    });
    return to.finish(ctx);
  }

  TextConfig c_;
  WeightStore store_;  // keeps the table mapped: a prompt touches few of its rows
  DType compute_;
  Weights w_;
  size_t bytes_ = 0;
};

}  // namespace

Status check_text_weights(const TextConfig& config, WeightStore& store) {
  store.rename_original_text();
  Weights unused;
  Loader in(store, nullptr);
  ZT_RETURN_IF_ERROR(load_all(config, Shapes(config, DType::f32), store, in, unused));
  return store.finish();
}

Result<std::unique_ptr<TextEncoder>> TextEncoder::load(const TextConfig& config, WeightStore& store, DType compute,
                                                       const ExecContext& ctx, bool streamed) {
  ZT_CHECK(compute == DType::f32 || compute == DType::bf16);
  ZT_RETURN_IF_ERROR(check_text_weights(config, store));
  auto encoder = std::make_unique<Umt5Encoder>(config, store, compute);
  ZT_RETURN_IF_ERROR(encoder->load(streamed, ctx));
  return std::unique_ptr<TextEncoder>(std::move(encoder));
}

TextMemory text_memory(const TextConfig& c, int64_t tokens, DType compute) {
  const size_t n = size_t(std::max<int64_t>(tokens, 1)), d = size_t(c.d_model), inner = size_t(c.heads * c.d_kv),
               ff = size_t(c.d_ff);
  const size_t element = dtype_size(compute), tables = size_t(c.bias_per_layer ? c.layers : 1);
  TextMemory m;
  constexpr int64_t kLinears = 5, kNorms = 2;
  m.weights.blocks = c.layers, m.weights.tensors = kLinears * kPackedTensors + kNorms;
  m.weights.block = Shapes(c, compute).bytes(c.gated_gelu) + 2 * d * 4;
  m.weights.rest = d * 4 + tables * size_t(c.buckets * c.heads) * 4;
  // x, y, out in f32; h, qkv, attention and the hidden row in the compute type; both halves of the gate; the bias. The rows
  // of the embedding table that a prompt touches come from the mapped file, page by page.
  constexpr size_t kPage = 4096;
  m.activations =
      n * (3 * d * 4 + (d + 4 * inner + ff) * element + 2 * ff * 4) + size_t(c.heads) * n * n * 4 + n * (d * 4 + kPage);
  return m;
}

}  // namespace zt
