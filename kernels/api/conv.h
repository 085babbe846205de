// Convolution of video frames in channels-last layout, weights packed once. A frame is [H, W, C] contiguous.
// Causal time is the caller's business: it passes kt + n - 1 input frames (kept from earlier calls, or null for
// a frame of zeros) to get n output frames, so a clip of any length streams through buffers of fixed size.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/api/exec_context.h"

namespace zt {

enum class ConvSpace : uint8_t {
  same,        // stride 1, zero padding (k - 1) / 2 on all sides
  down2,       // stride 2, zero padding of one row at the bottom and one column at the right (diffusers ZeroPad2d (0,1,0,1))
  up2_nearest  // the input is doubled by nearest neighbour first, then `same`
};

struct ConvDesc {
  int64_t in = 0, out = 0;
  int kt = 1, kh = 3, kw = 3;
  int stride_t = 1;  // only where the whole window is given: n outputs need kt + (n - 1) * stride_t inputs
  ConvSpace space = ConvSpace::same;
  DType compute = DType::f32;  // of input frames and weights
  DType result = DType::f32;   // of output frames: f32 or bf16
  bool accumulate = false;     // add to what the output frames hold (residual), rounding once
};

struct ConvSize {
  int64_t h = 0, w = 0;
};
// Height and width of the output frames for input frames of h x w.
ConvSize conv_out_size(const ConvDesc& d, int64_t h, int64_t w);

struct ConvBytes {
  size_t weights = 0, workspace = 0;
};

class PackedConv {
 public:
  virtual ~PackedConv() = default;
  virtual const ConvDesc& desc() const = 0;
  virtual size_t bytes() const = 0;
  // Scratch for one call on frames of this input height and width; depends on ctx.threads.
  virtual size_t workspace_bytes(int64_t h, int64_t w, const ExecContext& ctx) const = 0;
  // in: kt + (n - 1) * stride_t pointers, null = zeros. out: n pointers. h, w: of the input frames.
  virtual void run(std::span<const void* const> in, std::span<void* const> out, int64_t h, int64_t w, void* workspace,
                   const ExecContext& ctx) const = 0;
};

class ConvBackend {
 public:
  virtual ~ConvBackend() = default;
  virtual std::string_view name() const = 0;
  virtual std::string why_not(const ConvDesc& d, const ExecContext& ctx) const = 0;
  // weight [out, in, kt, kh, kw] (rank 5) or [out, in, kh, kw] (rank 4, kt = 1), bias [out], any float type.
  virtual Result<std::unique_ptr<PackedConv>> pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                                   const ExecContext& ctx) const = 0;
  // What packing takes from the arena, and the scratch of a call on frames of h x w.
  virtual ConvBytes bytes(const ConvDesc& d, int64_t h, int64_t w, const ExecContext& ctx) const = 0;
};

Result<std::unique_ptr<PackedConv>> pack_conv(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                              const ExecContext& ctx);

// Of the back end that pack_conv would choose, before anything is read.
ConvBytes conv_bytes(const ConvDesc& d, int64_t h, int64_t w, const ExecContext& ctx);

}  // namespace zt
