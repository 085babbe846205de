// y = act(x W^T + b), weights packed once. Back ends run it on slices of fixed size, so results do not depend on
// the number of threads.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/api/exec_context.h"

namespace zt {

enum class Activation : uint8_t { none, gelu_tanh, silu };

struct LinearDesc {
  int64_t in = 0, out = 0;
  DType compute = DType::f32;  // of x and of the packed weights: f32 or bf16 (accumulation is always f32)
  Activation act = Activation::none;
};

// Rows to stack along `out`: weight [out_i, in] in any float type, bias [out_i] in any float type or empty.
// Several parts make one fused projection (q, k and v, say).
struct LinearRows {
  TensorView weight, bias;
};

class PackedLinear {
 public:
  virtual ~PackedLinear() = default;
  virtual const LinearDesc& desc() const = 0;
  virtual size_t bytes() const = 0;
  // x [M, in] of desc.compute, y [M, out] f32 or bf16; last axis contiguous, row stride free. y must not alias x.
  virtual void run(const TensorView& x, const TensorView& y, const ExecContext& ctx) const = 0;
};

class LinearBackend {
 public:
  virtual ~LinearBackend() = default;
  virtual std::string_view name() const = 0;
  virtual std::string why_not(const LinearDesc& d, const ExecContext& ctx) const = 0;
  // Packed bytes come from ctx.arena. The sources may be unmapped afterwards.
  virtual Result<std::unique_ptr<PackedLinear>> pack(const LinearDesc& d, std::span<const LinearRows> rows,
                                                     const ExecContext& ctx) const = 0;
};

// Packs with the first back end that takes the description. Packing checks shapes: a mismatch is a bug.
Result<std::unique_ptr<PackedLinear>> pack_linear(const LinearDesc& d, std::span<const LinearRows> rows, const ExecContext& ctx);

// Bytes the packed weights will take, before anything is read: an upper bound for every back end, within 5% at the sizes of
// models. They are in kPackedTensors at most.
constexpr int64_t kPackedTensors = 3;
size_t packed_linear_bytes(const LinearDesc& d);

}  // namespace zt
