// UMT5 encoder (Wan2.1 wan/modules/t5.py; transformers modeling_umt5.py): relative position bias of its own in every
// layer, gated GELU, no biases, RMS norm with f32 statistics. Only the n real tokens are encoded; keys beyond them are
// masked in the reference, so the rows are exactly equal, and rows n.. are zeros by definition.
#pragma once

#include <memory>
#include <span>

#include "kernels/api/exec_context.h"
#include "model/config/config.h"
#include "model/io/block_stream.h"
#include "model/io/weights.h"

namespace zt {

class TextEncoder {
 public:
  // compute: f32 or bf16. Weights are packed from `store` layer by layer and their pages dropped. streamed: those of the layers
  // stay in host memory and come when they are used (block_stream.h).
  static Result<std::unique_ptr<TextEncoder>> load(const TextConfig& config, WeightStore& store, DType compute,
                                                   const ExecContext& ctx, bool streamed = false);
  virtual ~TextEncoder() = default;
  // ids [n] -> embedding f32 [n, d_model] from ctx.arena.
  virtual Result<Tensor> encode(std::span<const int32_t> ids, const ExecContext& ctx) const = 0;
  virtual size_t weight_bytes() const = 0;
};

// Names and shapes of every tensor, without reading values: kBadModel with the list, or ok.
Status check_text_weights(const TextConfig& config, WeightStore& store);

// Upper bounds before anything is loaded.
struct TextMemory {
  ChainBytes weights;
  size_t activations = 0;
};
TextMemory text_memory(const TextConfig& config, int64_t tokens, DType compute);

}  // namespace zt
