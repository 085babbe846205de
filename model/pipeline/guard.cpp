#include "model/pipeline/guard.h"

#include <cmath>

#include "kernels/api/transfer.h"

namespace zt {
namespace {

// [B, H, N, D] with any strides.
bool all_finite(const TensorView& v) {
  std::vector<float> row(size_t(v.dim(3)));
  for (int64_t b = 0; b < v.dim(0); ++b) {
    for (int64_t h = 0; h < v.dim(1); ++h) {
      for (int64_t n = 0; n < v.dim(2); ++n) {
        TensorView r = v.select(0, b).select(0, h).select(0, n);
        if (r.stride(0) != 1) return true;  // no such layout exists in this network
        convert_floats(r.data, r.dtype, row.data(), DType::f32, r.count());
        for (float x : row) {
          if (!std::isfinite(x)) return false;
        }
      }
    }
  }
  return true;
}

}  // namespace

int64_t first_not_finite(const TensorView& v) {
  const float* p = v.as<float>();
  for (int64_t i = 0; i < v.count(); ++i) {
    if (!std::isfinite(p[i])) return i;
  }
  return -1;
}

std::string ill(const TensorView& v) {
  if (int64_t at = first_not_finite(v); at >= 0) return fmt::format("is not finite (element {})", at);
  const float* p = v.as<float>();
  double n = double(v.count()), sum = 0, squares = 0;
  for (int64_t i = 0; i < v.count(); ++i) sum += p[i];
  double mean = sum / n;
  for (int64_t i = 0; i < v.count(); ++i) squares += (p[i] - mean) * (p[i] - mean);
  // Noise and velocity have variance near 1, and latents of a clip that is all one colour still differ between channels. 1e-10
  // of the mean square, five digits, is below what bf16 weights can tell apart.
  constexpr double kCollapsed = 1e-10;
  if (squares / n > kCollapsed * (mean * mean + squares / n)) return {};
  return fmt::format("has collapsed (all elements near {:.3g})", mean);
}

void FirstBadLayer::look(const Site& site, const TensorView& v, std::string_view what, const ExecContext& ctx) {
  if (!place_.empty() || !v) return;
  auto values = to_host(v, ctx);
  if (!values.ok() || all_finite(values->view)) return;
  place_ = fmt::format("layer {}, {} of the {}-attention", site.layer, what, site.kind == AttentionKind::self ? "self" : "cross");
}

void FirstBadLayer::before(const Site& site, TensorView& q, TensorView& k, TensorView& v, const ExecContext& ctx) {
  for (const TensorView& t : {q, k, v}) look(site, t, "input", ctx);
}

Status FirstBadLayer::after(const Site& site, const AttentionPlan&, const AttentionArgs& args, AttentionRecord&, const ExecContext& ctx) {
  look(site, args.out, "output", ctx);
  return {};
}

std::string FirstBadLayer::place() const { return place_.empty() ? "behind the last attention" : place_; }

}  // namespace zt
