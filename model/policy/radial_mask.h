// The masks of Radial Attention (arXiv 2506.19852): bands that narrow as frames lie further apart. Within a frame,
// distance is that of the flattened index |k - l|, not of the picture.
#pragma once

#include "kernels/plan/attention_plan.h"

namespace zt {

// What frames one apart keep.
enum class RadialNear : uint8_t {
  full,   // everything
  half,   // |k - l| <= s / 2, as first released
  decay,  // the band of all other distances
};

struct RadialRule {
  double decay = 1;
  int block = 128;
  bool sink = true;  // every query reads all of frame 0
  RadialNear near = RadialNear::full;
};

// The mask as released (mit-han-lab/radial-attention, radial_attn/attn_mask.py), bit for bit, on ceil(N / block)
// blocks a side. Frames that are no multiple of the block long are its weak point: the blocks that two frames share
// take the pattern of the wrong one, so the first and last picture rows read the wrong keys, and rows without any key
// can appear; they are kept.
Result<PlanPtr> radial_shipped(const Grid& grid, const RadialRule& rule);

// The band of the paper, equation 4, per token. Each frame has blocks of its own (its last one short), so no block
// sees two frames, and partly kept blocks are bit masks.
Result<PlanPtr> radial_exact(const Grid& grid, const RadialRule& rule);

}  // namespace zt
