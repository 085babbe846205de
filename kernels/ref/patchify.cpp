#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

struct PatchGrid {
  int64_t channels, t, h, w, ph, pw;  // h, w in patches
  PatchGrid(const TensorView& latent, int64_t patch_h, int64_t patch_w)
      : channels(latent.dim(0)),
        t(latent.dim(1)),
        h(latent.dim(2) / patch_h),
        w(latent.dim(3) / patch_w),
        ph(patch_h),
        pw(patch_w) {}
};

// fn(token, channel, row in patch, column in patch, offset in the latent)
template <class F>
void for_each_value(const PatchGrid& g, const TensorView& latent, F&& fn) {
  for (int64_t t = 0; t < g.t; ++t)
    for (int64_t y = 0; y < g.h; ++y)
      for (int64_t x = 0; x < g.w; ++x)
        for (int64_t c = 0; c < g.channels; ++c)
          for (int64_t i = 0; i < g.ph; ++i)
            for (int64_t j = 0; j < g.pw; ++j) {
              fn((t * g.h + y) * g.w + x, c, i, j,
                 c * latent.stride(0) + t * latent.stride(1) + (y * g.ph + i) * latent.stride(2) +
                     (x * g.pw + j) * latent.stride(3));
            }
}

}  // namespace

void ref_patchify(const PatchifyArgs& a, const ExecContext&) {
  PatchGrid g(a.latent, a.ph, a.pw);
  for_each_value(g, a.latent, [&](int64_t token, int64_t c, int64_t i, int64_t j, int64_t at) {
    set_element(a.tokens, token, (c * a.ph + i) * a.pw + j, a.latent.as<float>()[at]);
  });
}

void ref_unpatchify(const UnpatchifyArgs& a, const ExecContext&) {
  PatchGrid g(a.latent, a.ph, a.pw);
  for_each_value(g, a.latent, [&](int64_t token, int64_t c, int64_t i, int64_t j, int64_t at) {
    a.latent.as<float>()[at] = float(element(a.tokens, token, (i * a.pw + j) * g.channels + c));
  });
}

}  // namespace zt
