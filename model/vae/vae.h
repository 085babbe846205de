// The causal video VAE of Wan2.1 (diffusers autoencoder_kl_wan.py), streamed: each causal convolution keeps its last two
// input frames, so memory does not grow with the length of the clip and a clip cut anywhere gives the same pixels.
// Latents here are z, not normalised model latents: see normalise_latents.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "kernels/api/exec_context.h"
#include "model/config/config.h"
#include "model/io/weights.h"

namespace zt {

struct VaeMemory {
  size_t weights = 0;
  size_t cache = 0;        // frames kept by the causal convolutions
  size_t activations = 0;  // frames in flight and scratch
  size_t total() const { return weights + cache + activations; }
};

// One RGB frame, f32 [H, W, 3] in [-1, 1], valid during the call. A failed Status stops the stream.
using FrameSink = std::function<Status(const TensorView& frame)>;

class VaeDecoder {
 public:
  static Result<std::unique_ptr<VaeDecoder>> load(const VaeConfig& config, WeightStore& store, DType compute, const ExecContext& ctx);
  virtual ~VaeDecoder() = default;
  // Starts a clip of latent height h and width w: forgets earlier frames, allocates caches from ctx.arena.
  virtual Status begin(int64_t h, int64_t w, const ExecContext& ctx) = 0;
  // One latent frame z [C, h, w] f32 (any strides); makes 1 frame for the first call, temporal_factor() for each later one. On a
  // device a frame is emitted when the next one is being computed. Checks ctx.cancel between blocks (kCancelled).
  virtual Status push(const TensorView& z, const FrameSink& sink, const ExecContext& ctx) = 0;
  // Emits what has been made and not emitted: call it behind the last push.
  virtual Status finish(const FrameSink& sink, const ExecContext& ctx) = 0;
  // Frees caches and scratch.
  virtual void end() = 0;
  virtual size_t weight_bytes() const = 0;
};

class VaeEncoder {
 public:
  static Result<std::unique_ptr<VaeEncoder>> load(const VaeConfig& config, WeightStore& store, DType compute, const ExecContext& ctx);
  virtual ~VaeEncoder() = default;
  virtual Status begin(int64_t height, int64_t width, const ExecContext& ctx) = 0;
  // Frames in order, f32 [H, W, 3] in [-1, 1]. `latent` is called with the mean z [C, h, w] f32 after frame 0, 4, 8, ...
  virtual Status push(const TensorView& frame, const FrameSink& latent, const ExecContext& ctx) = 0;
  virtual void end() = 0;
};

// What load, begin and push take from the arena together, before anything is read.
VaeMemory vae_decode_memory(const VaeConfig& config, int64_t latent_h, int64_t latent_w, DType compute, const ExecContext& ctx);
VaeMemory vae_encode_memory(const VaeConfig& config, int64_t latent_h, int64_t latent_w, DType compute, const ExecContext& ctx);

// Spatial tiles with blended seams for when the exact decode does not fit: outside the parity bound, named in the report.
// z [C, T, h, w] f32. Tiles of 20 latent pixels, stride 14, linear blend (diffusers tiled_decode); finished frames wait in
// 8 bits, so memory grows with the clip by a byte a sample. Ends the decoder's clip, frames come when all tiles are done.
Status decode_tiled(VaeDecoder& vae, const VaeConfig& config, const TensorView& z, const FrameSink& sink, const ExecContext& ctx);
VaeMemory vae_tiled_memory(const VaeConfig& config, int64_t latent_h, int64_t latent_w, int64_t latent_t, DType compute,
                           const ExecContext& ctx);

// Names and shapes of every tensor, encoder and decoder, without reading values: kBadModel with the list, or ok.
Status check_vae_weights(const VaeConfig& config, WeightStore& store);

// model latent = (z - mean) / std, per channel, [C, T, H, W] f32, in place.
void normalise_latents(const VaeConfig& config, const TensorView& z);
void denormalise_latents(const VaeConfig& config, const TensorView& latents);

}  // namespace zt
