// The weights of the network, packed, and the names they have in a model file.
#pragma once

#include <memory>
#include <vector>

#include "kernels/api/linear.h"
#include "model/config/config.h"
#include "model/io/block_stream.h"
#include "model/io/weights.h"

namespace zt {

using LinearPtr = std::unique_ptr<PackedLinear>;

struct BlockWeights {
  LinearPtr qkv, self_out;               // [3 dim, dim] fused, [dim, dim]
  LinearPtr cross_q, cross_kv, cross_out;  // cross_kv: [2 dim, dim] fused, run once a prompt
  LinearPtr ffn_up, ffn_down;            // GELU (tanh) inside ffn_up
  Tensor norm_q, norm_k, cross_norm_q, cross_norm_k;  // [dim] f32
  Tensor cross_norm_weight, cross_norm_bias;          // [dim] f32; empty without cross_attn_norm
  Tensor proj_weight, proj_bias;  // [D, D], [D] f32 of a linear part's projection; empty where the model has none
  Tensor modulation;                                  // [6, dim] f32: shift, scale, gate of attention, then of the FFN
};

struct TransformerWeights {
  LinearPtr patch, text_1, text_2, time_1, time_2, time_projection, head;
  Tensor head_modulation;  // [2, dim] f32: shift, scale
  BlockStream stream;      // says when a block's weights may be read
  std::vector<BlockWeights> blocks;
  size_t bytes = 0;
};

// Names and shapes only: missing, extra and misshapen tensors come back as one list (kBadModel).
Status check_transformer_weights(const TransformerConfig& c, WeightStore& store);
// Whether the blocks have proj_l weights for the linear part of sparse-linear attention.
bool has_projection(const TransformerConfig& c, WeightStore& store);

// Checks, then takes every tensor from `store` (diffusers or original names), packs it and drops its pages. compute: f32 or
// bf16 for the blocks; time embedding, patch embedding and head are f32 in either case, as their sums must be.
Result<TransformerWeights> load_transformer_weights(const TransformerConfig& c, WeightStore& store, DType compute, bool streamed,
                                                    const ExecContext& ctx);

// Bytes of the packed weights, before anything is read. projection: with the weights of has_projection.
ChainBytes transformer_bytes(const TransformerConfig& c, DType compute, bool projection);

}  // namespace zt
