// The Wan text-to-video transformer (diffusers transformer_wan.py; wan.md section 1.2).
#pragma once

#include <memory>
#include <vector>

#include "kernels/api/exec_context.h"
#include "kernels/plan/attention_plan.h"
#include "model/config/config.h"
#include "model/dit/attend.h"
#include "model/io/block_stream.h"
#include "model/io/weights.h"

namespace zt {

// Keys and values of one prompt for every cross-attention, computed once a prompt. The reference attends to
// max_text_tokens rows of which all but the n real ones are equal; here they are one row whose logit carries
// ln(max_text_tokens - n) (exact, wan.md 1.2).
class TextContext {
 public:
  virtual ~TextContext() = default;
  virtual size_t bytes() const = 0;
};

// What the denoiser is told besides x and the timestep.
struct Conditioning {
  const TextContext* text = nullptr;
  // Timestep of each latent frame in 0..1000; one entry = all frames (text to video).
  std::vector<double> frame_timesteps;
  Branch branch = Branch::cond;
  int64_t step = 0, steps = 1;
};

struct DitMemory {
  ChainBytes weights;
  size_t activations = 0, text_context = 0;  // text_context: one prompt
  size_t text_working = 0;                   // while a prompt's is made
};

class Transformer {
 public:
  // streamed: the blocks' weights stay in host memory and come when they are used (block_stream.h).
  static Result<std::unique_ptr<Transformer>> load(const TransformerConfig& config, WeightStore& store, DType compute, const ExecContext& ctx,
                                                   bool streamed = false);
  virtual ~Transformer() = default;
  // embeds [n, text_dim] f32, on the host: the real rows; max_tokens - n zero rows are understood (n <= max_tokens). Call prepare()
  // first: the plan of the cross-attention is made for the prepared number of tokens.
  virtual Result<std::unique_ptr<TextContext>> encode_text(const TensorView& embeds, int64_t max_tokens, const ExecContext& ctx) const = 0;
  // Settles shapes: activations for latents [C, T, H, W], H and W even. Runs of the same shape allocate nothing.
  virtual Status prepare(const Shape& latent, const ExecContext& ctx) = 0;
  // latent, velocity: [C, T, H, W] f32. `attention` decides every self-attention's plan and carries the hooks.
  // kCancelled between blocks; kFailed names layer and step when a value stops being finite (checked on the output).
  virtual Status forward(const TensorView& latent, const Conditioning& cond, AttentionDriver& attention, const TensorView& velocity,
                         const ExecContext& ctx) = 0;
  virtual void release() = 0;  // frees activations
  virtual size_t weight_bytes() const = 0;
  virtual Grid grid() const = 0;  // of the prepared shape
};

// Tokens of a latent clip [C, T, H, W].
inline Grid token_grid(const TransformerConfig& c, const Shape& latent) {
  return {latent[1] / c.patch_t, latent[2] / c.patch_h, latent[3] / c.patch_w};
}

// projection: the weights have proj_l (has_projection).
DitMemory dit_memory(const TransformerConfig& config, const Shape& latent, int64_t text_rows, DType compute, bool projection,
                     const ExecContext& ctx);

}  // namespace zt
