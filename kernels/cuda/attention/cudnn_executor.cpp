#include <cmath>

#include "kernels/api/checks.h"
#include "kernels/cuda/attention/executor.h"
#include "kernels/cuda/runtime/device.h"

namespace zt::cuda {
namespace {

class CudnnAttention final : public AttentionExecutor {
 public:
  std::string_view name() const override { return "cudnn"; }

  std::string why_not(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    if (!plan.is_dense() || plan.has_order() || plan.has_linear() || !plan.parts().k_bias.empty() || p.block_mass) return "plain dense attention only";
    if (p.dtype != DType::bf16 || p.head_dim % 8 || p.head_dim > 128) return "bf16, heads of 8 to 128 channels in steps of 8";
    return device_of(ctx).why_no_dense_attention();
  }
  size_t workspace_bytes(const AttentionPlan&, const AttentionProblem&, const ExecContext&) const override { return 0; }

  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void*, const ExecContext& ctx) const override {
    check_attention(plan, p, a);
    auto matrices = [](const TensorView& t) { return DenseAttention::Matrices{t.data, t.stride(0), t.stride(1), t.stride(2)}; };
    DenseAttention d;
    d.q = matrices(a.q), d.k = matrices(a.k), d.v = matrices(a.v), d.out = matrices(a.out);
    d.lse = a.lse ? a.lse.as<float>() : nullptr;
    d.batch = p.batch, d.heads = p.heads, d.nq = plan.nq(), d.nk = plan.nk(), d.d = p.head_dim;
    d.scale = p.scale != 0 ? p.scale : float(1 / std::sqrt(double(p.head_dim)));
    device_of(ctx).dense_attention(d);
  }
};

}  // namespace

std::shared_ptr<const AttentionExecutor> make_cudnn_attention() { return std::make_shared<CudnnAttention>(); }

}  // namespace zt::cuda
