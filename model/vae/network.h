// One half of the VAE at work: frames go in one by one and run depth first through the layers, so that about one frame
// is in flight however many a layer makes of one. Decoder and encoder differ only in their list of layers.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/api/attention.h"
#include "model/io/weights.h"
#include "model/vae/clip_plan.h"
#include "model/vae/parts.h"

namespace zt {

// The last two frames a convolution over time has seen, oldest first; null = zeros before the clip.
struct FrameHistory {
  FrameSize size;
  std::array<void*, 2> frames{};
};

// A layer with its packed weights, in the order of gamma_parts, conv_parts and linear_parts.
struct VaeBlock {
  VaeLayer layer;
  std::array<Tensor, 2> gamma;  // [C] f32
  std::array<std::unique_ptr<PackedConv>, 3> conv;
  std::array<std::unique_ptr<PackedLinear>, 2> linear;
  std::array<FrameHistory, 2> history;
  int64_t h = 0, w = 0;    // of the frames that enter
  int64_t frames = 0;      // seen so far, where a layer treats the first one apart

  size_t weight_bytes() const;
};

// Weights come from `store` by diffusers names, which must all be there with their shapes.
Result<VaeBlock> load_block(const VaeLayer& layer, WeightStore& store, DType compute, const ExecContext& ctx);
// A 1x1x1 convolution as a linear layer on pixel rows; the first desc.out of its outputs.
Result<std::unique_ptr<PackedLinear>> load_pointwise(const std::string& name, const LinearDesc& desc, WeightStore& store,
                                                     const ExecContext& ctx);

size_t attention_workspace(const AttentionPlan& plan, int64_t channels, DType compute, const ExecContext& ctx);

class VaeNetwork {
 public:
  // What the head made of a frame, [h * w, out] f32; valid, and free to be changed, during the call.
  using Emit = std::function<Status(const TensorView& rows)>;

  static Result<VaeNetwork> load(const std::vector<VaeLayer>& layers, WeightStore& store, DType compute, const ExecContext& ctx);
  Status begin(int64_t h, int64_t w, const ExecContext& ctx);
  void end();
  // Where the next frame goes before push: [h * w, in] of the compute type.
  TensorView input();
  Status push(const Emit& emit, const ExecContext& ctx);
  size_t weight_bytes() const;
  bool begun() const { return bool(slots_[0]); }

 private:
  VaeNetwork() = default;
  // Layers from `first` on; the frame is in slot `at`.
  Status run(size_t first, size_t at, const Emit& emit, const ExecContext& ctx);
  void residual(VaeBlock& b, size_t& at, const ExecContext& ctx);
  void attend(VaeBlock& b, size_t at, const ExecContext& ctx);
  Status upsample_time(size_t index, size_t at, const Emit& emit, const ExecContext& ctx);
  // False when the frame only waits for the next one.
  bool downsample_time(VaeBlock& b, size_t& at, const ExecContext& ctx);
  Status head(VaeBlock& b, size_t at, const Emit& emit, const ExecContext& ctx);

  TensorView view(size_t slot, int64_t rows, int64_t channels) const;
  TensorView frame(const FrameSize& size, void* data) const;
  // out = conv over the history and `newest`; then the oldest frame goes back to the pool.
  void causal(const PackedConv& conv, FrameHistory& history, void* newest, void* out, const ExecContext& ctx);
  void convolve(const PackedConv& conv, std::span<const void* const> window, void* out, int64_t h, int64_t w, const ExecContext& ctx);
  void advance(FrameHistory& history, void* newest);
  size_t workspace_bytes(const ExecContext& ctx) const;

  DType compute_ = DType::f32;
  std::vector<VaeBlock> blocks_;
  ClipPlan plan_;
  FramePool pool_;
  std::array<Tensor, 2> slots_;
  Tensor workspace_;
  void* input_ = nullptr;
  PlanPtr attention_;
};

}  // namespace zt
