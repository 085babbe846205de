#include "app/engine/time_estimate.h"

#include <chrono>

#include "kernels/api/linear.h"
#include "kernels/api/transfer.h"

namespace zt {

double sampling_flops(const TransformerConfig& c, const Shape& latent, int64_t text_rows, int64_t steps, bool guided, double density) {
  double n = double(token_grid(c, latent).tokens()), d = double(c.dim());
  double linear = n * d * (6 * d + 2 * double(c.ffn_dim));  // q, k, v, out, cross q, cross out; up and down
  double attention = 2 * n * d * (n * density + double(text_rows));
  return 2 * double(c.layers) * (linear + attention) * double(steps) * (guided ? 2 : 1);
}

double decoding_flops(const VaeConfig& c, const Shape& latent) {
  double base = double(c.decoder_base_dim > 0 ? c.decoder_base_dim : c.base_dim), flops = 0;
  double frames = double(latent[1]), pixels = double(latent[2] * latent[3]);
  double in = base * double(c.dim_mult.back());
  constexpr double kTaps = 27;
  flops += frames * pixels * kTaps * in * in * 4;  // two residual blocks in the middle
  for (size_t i = c.dim_mult.size(); i-- > 0;) {
    double out = base * double(c.dim_mult[i]);
    flops += frames * pixels * kTaps * (in * out + (2 * double(c.num_res_blocks) + 1) * out * out);
    if (i == 0) break;
    // Time doubles first, then space; a 3x3 convolution halves the channels.
    if (c.temporal_downsample[i - 1]) flops += frames * pixels * 3 * out * 2 * out, frames = 2 * frames - 1;
    pixels *= 4;
    flops += frames * pixels * 9 * out * out / 2;
    in = out / 2;
  }
  return 2 * flops;
}

Result<double> SpeedGauge::measure(const std::string& root, const TransformerConfig& c, int64_t tokens, DType compute,
                                   const ExecContext& ctx) {
  if (root == root_) return flops_;
  constexpr int64_t kRows = 1024;
  int64_t rows = std::min(tokens, kRows);
  ZT_ASSIGN_OR_RETURN(Tensor weight, host_arena(ctx).zeros(compute, {c.ffn_dim, c.dim()}));
  ZT_ASSIGN_OR_RETURN(Tensor x, ctx.arena->zeros(compute, {rows, c.dim()}));
  ZT_ASSIGN_OR_RETURN(Tensor y, ctx.arena->zeros(compute, {rows, c.ffn_dim}));
  LinearRows part[] = {{weight, {}}};
  ZT_ASSIGN_OR_RETURN(auto packed, pack_linear({c.dim(), c.ffn_dim, compute}, part, ctx));
  using Clock = std::chrono::steady_clock;
  double best = 1e30, total = 0;
  for (int round = 0; round < 2 || (total < 0.05 && round < 100); ++round) {
    auto begin = Clock::now();
    packed->run(x, y, ctx);
    ZT_RETURN_IF_ERROR(wait_for_device(ctx));
    double s = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::min(best, s), total += s;
  }
  root_ = root;
  return flops_ = 2 * double(rows) * double(c.dim()) * double(c.ffn_dim) / best;
}

}  // namespace zt
