#include "model/dit/recall.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "kernels/api/ops.h"
#include "kernels/api/select.h"
#include "kernels/api/transfer.h"

namespace zt {

KeptShare kept_share(std::span<const float> plan_lse, std::span<const float> dense_lse) {
  ZT_CHECK(plan_lse.size() == dense_lse.size());
  if (plan_lse.empty()) return {};
  KeptShare s{0, 1};
  for (size_t i = 0; i < plan_lse.size(); ++i) {
    // exp(-inf) is 0. Two sums of the same numbers may differ in their last bit: a share is at most 1. Not a number, which
    // only such inputs make, counts as nothing kept.
    double kept = std::exp(double(plan_lse[i]) - double(dense_lse[i]));
    kept = kept > 0 ? std::min(kept, 1.0) : 0.0;
    s.mean += kept, s.worst = std::min(s.worst, kept);
  }
  s.mean /= double(plan_lse.size());
  return s;
}

bool is_exact(const AttentionPlan& plan) { return plan.is_dense() && !plan.has_linear() && plan.parts().k_bias.empty(); }

std::vector<int32_t> sample_rows(const Site& site, int64_t tokens) {
  std::vector<int32_t> rows(size_t(std::min(tokens, kSampleBlocks * kSampleRows)));
  std::iota(rows.begin(), rows.end(), 0);
  if (tokens <= kSampleBlocks * kSampleRows) return rows;
  int64_t places = (tokens + kSampleRows - 1) / kSampleRows;
  // Strides of about the golden section put neighbours far apart; without a common divisor they meet every place once a round.
  int64_t stride = places * 5 / 8;
  while (std::gcd(stride, places) > 1) ++stride;
  for (int64_t i = 0; i < kSampleBlocks; ++i) {
    int64_t number = (site.step * site.layers + site.layer) * kSampleBlocks + i;
    // The last place may be short: it then begins earlier, so that all samples are of one size.
    int64_t begin = std::min(number % places * stride % places * kSampleRows, tokens - kSampleRows);
    std::iota(rows.begin() + i * kSampleRows, rows.begin() + (i + 1) * kSampleRows, int32_t(begin));
  }
  return rows;
}

namespace {

// out[h, r] = x[h, rows[r]] for x [1, H, N, D].
void gather_heads(const TensorView& x, std::span<const int32_t> rows, const TensorView& out, const ExecContext& ctx) {
  for (int64_t h = 0; h < x.dim(1); ++h) {
    gather_rows({x.select(0, 0).select(0, h), out.select(0, 0).select(0, h), rows}, ctx);
  }
}

AttentionProblem problem_of(int64_t heads, int64_t head_dim, DType dtype) {
  AttentionProblem p;
  p.heads = heads, p.head_dim = head_dim, p.dtype = dtype;
  return p;
}

}  // namespace

bool RecallMeter::wants_lse(const Site& site, const AttentionPlan& plan) const {
  return site.kind == AttentionKind::self && !is_exact(plan);
}

Status RecallMeter::prepare(const AttentionProblem& p, int64_t rows, const ExecContext& ctx) {
  Shape shape{1, p.heads, rows, p.head_dim};
  if (!q_ || q_.shape() != shape || q_.view().dtype != p.dtype) {
    for (Tensor* t : {&q_, &out_, &exact_, &lse_}) *t = Tensor();  // give the old ones back first
    for (Tensor* t : {&q_, &out_, &exact_}) {
      ZT_ASSIGN_OR_RETURN(*t, ctx.arena->make(p.dtype, shape));
    }
    ZT_ASSIGN_OR_RETURN(lse_, ctx.arena->make(DType::f32, {1, p.heads, rows}));
  }
  return {};
}

Status RecallMeter::after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord& record,
                          const ExecContext& ctx) {
  if (!wants_lse(site, plan)) return {};
  auto begin = std::chrono::steady_clock::now();
  ZT_CHECK(args.q.dim(0) == 1 && args.lse);
  int64_t heads = args.q.dim(1), tokens = args.q.dim(2);
  std::vector<int32_t> rows = sample_rows(site, tokens);
  AttentionProblem problem = problem_of(heads, args.q.dim(3), args.q.dtype);
  ZT_RETURN_IF_ERROR(prepare(problem, int64_t(rows.size()), ctx));
  gather_heads(args.q, rows, q_, ctx);
  gather_heads(args.out, rows, out_, ctx);
  AttentionArgs exact;
  exact.q = q_, exact.k = args.k, exact.v = args.v, exact.out = exact_, exact.lse = lse_;
  const PlanPtr& dense = dense_.of(int64_t(rows.size()), args.k.dim(2));
  ZT_RETURN_IF_ERROR(attention_forward(*dense, problem, exact, workspace_, ctx));

  std::vector<double> error(static_cast<size_t>(heads)), norm(error.size());
  head_errors({out_.view().select(0, 0), exact_.view().select(0, 0), error, norm}, ctx);
  ZT_ASSIGN_OR_RETURN(HostCopy whole, to_host(args.lse, ctx));
  ZT_ASSIGN_OR_RETURN(HostCopy sampled, to_host(lse_, ctx));
  std::vector<float> plan_lse(rows.size());
  for (int64_t h = 0; h < heads; ++h) {
    const float* lse = whole.view.as<float>() + h * tokens;
    std::transform(rows.begin(), rows.end(), plan_lse.begin(), [&](int32_t r) { return lse[r]; });
    KeptShare share = kept_share(plan_lse, {sampled.view.as<float>() + h * int64_t(rows.size()), rows.size()});
    HeadRecord& to = record.heads[size_t(h)];
    to.recall = share.mean, to.recall_worst = share.worst;
    to.rel_l2 = norm[size_t(h)] > 0 ? std::sqrt(error[size_t(h)] / norm[size_t(h)]) : 0;
  }
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {};
}

size_t RecallMeter::bytes(const PolicyJob& job, const ExecContext& ctx) const {
  int64_t tokens = job.grid.tokens(), rows = std::min(tokens, kSampleRows * kSampleBlocks);
  size_t own = 3 * Arena::block_bytes(size_t(job.heads * rows * job.head_dim) * dtype_size(job.dtype)) +
               Arena::block_bytes(size_t(job.heads * rows) * sizeof(float)) +
               Arena::block_bytes(dense_workspace(rows, tokens, problem_of(job.heads, job.head_dim, job.dtype), ctx));
  return own + Arena::block_bytes(size_t(job.heads * tokens) * sizeof(float));  // the driver's log-sum-exps
}

}  // namespace zt
