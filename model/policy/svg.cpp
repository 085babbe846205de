// Sparse VideoGen: each head is spatial or temporal, as 64 of its queries show in every step.
#include <algorithm>

#include "kernels/api/attention.h"
#include "kernels/api/ops.h"
#include "model/policy/block_choice.h"
#include "model/policy/methods.h"
#include "model/policy/svg_masks.h"

namespace zt {
namespace {

class Svg final : public AttentionPolicy {
 public:
  explicit Svg(double keep) : keep_(keep) {}
  std::string_view name() const override { return "svg"; }
  PolicyNeeds needs() const override { return PolicyNeeds::qk; }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    ZT_ASSIGN_OR_RETURN(ClipInput clip, clip_on_grid(in, name()));
    if (!in.v) return invalid("svg: compares outputs, so it needs values beside queries and keys");
    ZT_RETURN_IF_ERROR(settle(in.site.grid));
    ZT_ASSIGN_OR_RETURN(std::vector<int32_t> order_of_head, judge(in, clip, ctx));
    return plan_for(std::move(order_of_head));
  }

  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    ZT_RETURN_IF_ERROR(settle(job.grid));
    int64_t n = job.grid.tokens();
    std::vector<int32_t> rows = svg_sampled_rows(n, 0, 0, 0);
    ZT_ASSIGN_OR_RETURN(PlanPtr profile, svg_profile_plan(job.grid, rows));
    AttentionProblem problem{1, job.heads, job.head_dim, job.dtype};
    size_t own = attention_workspace(*profile, problem, ctx);
    size_t samples = 2 * Arena::block_bytes(size_t(3 * kSvgRows * job.heads * job.head_dim) * dtype_size(job.dtype));
    // Plans of mixed heads come one by one; a few are the rule. Each holds the band and two orders with their inverses.
    constexpr size_t kUsual = 4;
    size_t plans = kUsual * (band_->stats().bytes + 4 * size_t(n) * sizeof(int32_t));
    return own + samples + profile->stats().bytes + plans + extra_workspace(*band_, job, ctx);
  }

 private:
  // What depends on the grid alone.
  Status settle(const Grid& grid) {
    if (grid_ == grid) return {};
    ZT_ASSIGN_OR_RETURN(band_, svg_band_plan(grid, keep_));
    grid_ = grid;
    place_major_ = svg_place_major(grid);
    plans_.clear();
    return {};
  }

  // Per head -1 = spatial, tokens in place; 0 = temporal, by the place-major order. One call computes the sampled queries
  // three times, so that keys and values are read once.
  Result<std::vector<int32_t>> judge(const PolicyInput& in, const ClipInput& clip, const ExecContext& ctx) {
    const Site& s = in.site;
    std::vector<int32_t> rows = svg_sampled_rows(clip.nq(), uint64_t(s.step), uint64_t(s.layer), uint64_t(s.branch));
    ZT_ASSIGN_OR_RETURN(PlanPtr profile, svg_profile_plan(s.grid, rows));
    std::vector<int32_t> thrice;
    for (int i = 0; i < 3; ++i) thrice.insert(thrice.end(), rows.begin(), rows.end());
    const int64_t heads = clip.heads();
    const int64_t d = clip.head_dim(), width = heads * d;
    ZT_ASSIGN_OR_RETURN(Tensor q, ctx.arena->make(clip.q.dtype, {3 * kSvgRows, width}));
    ZT_ASSIGN_OR_RETURN(Tensor out, ctx.arena->make(clip.q.dtype, {3 * kSvgRows, width}));
    gather(clip.q, thrice, q, ctx);

    AttentionProblem problem{1, heads, d, clip.q.dtype};
    auto by_head = [&](const Tensor& t) {
      TensorView v = t.view().overlay(clip.q.dtype, {1, heads, 3 * kSvgRows, d});
      v.strides = {3 * kSvgRows * width, d, width, 1};
      return v;
    };
    AttentionArgs args;
    args.q = by_head(q), args.k = in.k, args.v = in.v, args.out = by_head(out);
    ZT_RETURN_IF_ERROR(attention_forward(*profile, problem, args, workspace_, ctx));

    std::vector<double> spatial(static_cast<size_t>(heads)), temporal(spatial), norm(spatial);
    auto part = [&](int64_t i) { return args.out.select(0, 0).slice(1, i * kSvgRows, kSvgRows); };
    head_errors({part(1), part(0), spatial, norm}, ctx);
    head_errors({part(2), part(0), temporal, norm}, ctx);
    std::vector<int32_t> order_of_head;
    for (size_t h = 0; h < spatial.size(); ++h) order_of_head.push_back(temporal[h] < spatial[h] ? 0 : -1);
    return order_of_head;
  }

  // Rows of all heads, heads side by side. In the model's layout that is how they lie.
  static void gather(const TensorView& q, std::span<const int32_t> rows, const TensorView& out, const ExecContext& ctx) {
    const int64_t d = q.dim(2);
    if (q.stride(0) == d) {
      TensorView tokens = q.overlay(q.dtype, {q.dim(1), q.dim(0) * d});
      tokens.strides = {q.stride(1), 1};
      return gather_rows({tokens, out, rows}, ctx);
    }
    for (int64_t h = 0; h < q.dim(0); ++h) gather_rows({q.select(0, h), out.slice(1, h * d, d), rows}, ctx);
  }

  // Heads change kind rarely between layers and steps that are alike, so the last plans are kept.
  Result<PlanPtr> plan_for(std::vector<int32_t> order_of_head) {
    constexpr size_t kKept = 16;
    if (std::all_of(order_of_head.begin(), order_of_head.end(), [](int32_t o) { return o < 0; })) return band_;
    auto known = std::find_if(plans_.begin(), plans_.end(), [&](auto& p) { return p.first == order_of_head; });
    if (known != plans_.end()) return known->second;
    PlanParts p = band_->parts();
    p.q_order.sets = 1, p.q_order.order = place_major_, p.q_order.head_set = order_of_head;
    p.k_order = p.q_order;
    ZT_ASSIGN_OR_RETURN(PlanPtr made, AttentionPlan::make(std::move(p)));
    if (plans_.size() == kKept) plans_.erase(plans_.begin());
    plans_.emplace_back(std::move(order_of_head), made);
    return made;
  }

  double keep_;
  Grid grid_{0, 0, 0};  // of what follows
  PlanPtr band_;        // every head spatial
  std::vector<int32_t> place_major_;
  std::vector<std::pair<std::vector<int32_t>, PlanPtr>> plans_;  // by the order of each head, newest last
  AttentionWorkspace workspace_;  // kept between calls: fresh memory would cost a sixth of the pass at 5,376 tokens
};

}  // namespace

Method svg_method() {
  PolicyInfo info;
  info.name = "svg";
  info.summary = "each head reads its own and nearby frames, or its own and nearby places in all frames, whichever errs less";
  info.citation = "Sparse VideoGen, arXiv 2502.01776; svg-project/Sparse-VideoGen";
  info.advice =
      "its authors keep a fifth of the steps and the first layer dense for Wan 2.1 (dense_steps=10 of 50, dense_layers=1)";
  info.parameters = {keep_parameter("0.3", "kept fraction that settles the width of the band; the first frame comes on top")};
  info.parameters[0].citation = "the released scripts: 0.3 for Wan 2.1 at 720p";
  return {info, [](const Parameters& p) -> Result<std::shared_ptr<AttentionPolicy>> {
            return std::shared_ptr<AttentionPolicy>(std::make_shared<Svg>(p.fraction("keep")));
          }};
}

}  // namespace zt
