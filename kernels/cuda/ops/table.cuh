// Every op of the table but attention on tensor cores. Tensors are on the device; a row table may be on the host.
#pragma once

#include "kernels/api/op_table.h"
#include "kernels/cuda/ops/bias_attention.cuh"
#include "kernels/cuda/ops/elementwise.cuh"
#include "kernels/cuda/ops/matmul.cuh"
#include "kernels/cuda/ops/norm.cuh"
#include "kernels/cuda/ops/plain_attention.cuh"
#include "kernels/cuda/ops/select.cuh"

namespace zt::cuda {
namespace {

constexpr std::string_view kHostTensor = "a tensor is in host memory";

inline bool on_device(std::initializer_list<const TensorView*> tensors) {
  for (const TensorView* t : tensors) {
    if (*t && t->device != zt::Device::cuda) return false;
  }
  return true;
}

inline std::string_view why_not(const NormArgs& a) {
  return on_device({&a.x, &a.y, &a.gate, &a.scale, &a.shift, &a.out}) ? "" : kHostTensor;
}
inline std::string_view why_not(const QkNormRopeArgs& a) { return on_device({&a.x, &a.weight, &a.cos, &a.sin, &a.out}) ? "" : kHostTensor; }
inline std::string_view why_not(const ChannelNormArgs& a) { return on_device({&a.x, &a.gamma, &a.out}) ? "" : kHostTensor; }
inline std::string_view why_not(const BiasAttentionArgs& a) {
  if (BiasAttentionKernel::shared(a.q.dim(1), a.q.dim(2)) > 48 * 1024) return "more than some 10,000 tokens";
  return on_device({&a.q, &a.k, &a.v, &a.bias, &a.out}) ? "" : kHostTensor;
}
inline std::string_view why_not(const ElementwiseArgs& a) { return on_device({&a.a, &a.b, &a.out}) ? "" : kHostTensor; }
inline std::string_view why_not(const PatchifyArgs& a) { return on_device({&a.latent, &a.tokens}) ? "" : kHostTensor; }
inline std::string_view why_not(const UnpatchifyArgs& a) { return on_device({&a.latent, &a.tokens}) ? "" : kHostTensor; }
inline std::string_view why_not(const GatherRowsArgs& a) {
  const bool host = a.table.device == zt::Device::cpu;
  if (host && !(a.out.dense())) return "rows of a table in host memory go to a dense tensor";
  if (!host && a.table.dtype != DType::f32 && a.table.dtype != DType::bf16) return "a table on the device is f32 or bf16";
  return on_device({&a.out}) ? "" : kHostTensor;
}
inline std::string_view why_not(const AffineSumArgs& a) {
  for (const TensorView& v : a.in) {
    if (!on_device({&v})) return kHostTensor;
  }
  return on_device({&a.out}) ? "" : kHostTensor;
}
inline std::string_view why_not(const PoolBlocksArgs& a) { return on_device({&a.x, &a.out}) ? "" : kHostTensor; }
inline std::string_view why_not(const BlockScoresArgs& a) { return on_device({&a.q, &a.k, &a.out}) ? "" : kHostTensor; }
inline std::string_view why_not(const SelectBlocksArgs& a) {
  if (a.scores.dim(2) > SelectKernel::kMost) return "more than 12,000 key blocks";
  return on_device({&a.scores, &a.map}) ? "" : kHostTensor;
}
inline std::string_view why_not(const KeptMassArgs& a) { return on_device({&a.mass, &a.map}) ? "" : kHostTensor; }
inline std::string_view why_not(const HeadErrorsArgs& a) { return on_device({&a.a, &a.b}) ? "" : kHostTensor; }
inline std::string_view why_not(const MergePartialsArgs& a) {
  return on_device({&a.out0, &a.out1, &a.out, &a.lse0, &a.lse1, &a.lse}) ? "" : kHostTensor;
}

template <class Args>
void add(Candidates<Args>& list, void (*run)(const Args&, const ExecContext&)) {
  list.push_back({"cuda", [](const Args& a, const ExecContext&) { return why_not(a); }, run});
}

inline void add_ops(OpTable& t) {
  add(t.norm, run_norm);
  add(t.qk_norm_rope, run_qk_norm_rope);
  add(t.channel_norm, run_channel_norm);
  add(t.bias_attention, run_bias_attention);
  add(t.elementwise, run_elementwise);
  add(t.affine_sum, run_affine_sum);
  add(t.patchify, run_patchify);
  add(t.unpatchify, run_unpatchify);
  add(t.gather_rows, run_gather_rows);
  add(t.pool_blocks, run_pool_blocks);
  add(t.block_scores, run_block_scores);
  add(t.select_blocks, run_select_blocks);
  add(t.kept_mass, run_kept_mass);
  add(t.head_errors, run_head_errors);
  add(t.merge_partials, run_merge_partials);
  t.linear.push_back(std::make_shared<CudaLinearBackend>());
  t.conv.push_back(std::make_shared<CudaConvBackend>());
  t.attention.push_back(std::make_shared<PlainAttention>());
}

}  // namespace
}  // namespace zt::cuda
