#include "kernels/core/parallel.h"
#include "kernels/ref/ref_math.h"
#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

class RefLinear final : public PackedLinear {
 public:
  RefLinear(const LinearDesc& d, Tensor weight, Tensor bias) : d_(d), weight_(std::move(weight)), bias_(std::move(bias)) {}
  const LinearDesc& desc() const override { return d_; }
  size_t bytes() const override { return weight_.view().bytes() + bias_.view().bytes(); }

  void run(const TensorView& x, const TensorView& y, const ExecContext& ctx) const override {
    parallel_for(ctx.threads, x.dim(0), [&](int64_t r) {
      for (int64_t o = 0; o < d_.out; ++o) {
        double sum = bias_.as<float>()[o];
        for (int64_t i = 0; i < d_.in; ++i) sum += element(x, r, i) * element(weight_, o, i);
        if (d_.act == Activation::gelu_tanh) sum = gelu_tanh(sum);
        if (d_.act == Activation::silu) sum = silu(sum);
        set_element(y, r, o, sum);
      }
    });
  }

 private:
  LinearDesc d_;
  Tensor weight_, bias_;  // [out, in] of d_.compute, [out] f32
};

class RefLinearBackend final : public LinearBackend {
 public:
  std::string_view name() const override { return "ref"; }
  std::string why_not(const LinearDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedLinear>> pack(const LinearDesc& d, std::span<const LinearRows> rows,
                                             const ExecContext& ctx) const override {
    ZT_ASSIGN_OR_RETURN(Tensor weight, ctx.arena->make(d.compute, {d.out, d.in}));
    ZT_ASSIGN_OR_RETURN(Tensor bias, ctx.arena->zeros(DType::f32, {d.out}));
    int64_t at = 0;
    for (const LinearRows& part : rows) {
      for (int64_t o = 0; o < part.weight.dim(0); ++o, ++at) {
        for (int64_t i = 0; i < d.in; ++i) set_element(weight, at, i, element(part.weight, o, i));
        if (part.bias) bias.as<float>()[at] = load_float(part.bias.data, part.bias.dtype, o);
      }
    }
    return std::unique_ptr<PackedLinear>(new RefLinear(d, std::move(weight), std::move(bias)));
  }
};

}  // namespace

std::shared_ptr<const LinearBackend> make_ref_linear() { return std::make_shared<RefLinearBackend>(); }

}  // namespace zt
