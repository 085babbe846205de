#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/api/select.h"
#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

double at3(const TensorView& v, int64_t a, int64_t b, int64_t c) {
  return double(load_float(v.data, v.dtype, a * v.stride(0) + b * v.stride(1) + c * v.stride(2)));
}

}  // namespace

void ref_pool_blocks(const PoolBlocksArgs& a, const ExecContext&) {
  int64_t heads = a.x.dim(0), n = a.x.dim(1), d = a.x.dim(2);
  float* out = a.out.as<float>();
  for (int64_t h = 0; h < heads; ++h) {
    int set = a.order ? a.order->set_of(h) : -1;
    for (int64_t c = 0; c < d; ++c) {
      double all = 0;
      for (int64_t i = 0; i < n; ++i) all += at3(a.x, h, i, c);
      int64_t slot = 0;
      for (int64_t b = 0; b < a.blocks->count(); ++b) {
        int32_t valid = a.blocks->valid[size_t(b)];
        double sum = 0;
        for (int32_t i = 0; i < valid; ++i, ++slot) {
          sum += at3(a.x, h, set < 0 ? slot : a.order->order[size_t(set * n + slot)], c);
        }
        out[(h * a.blocks->count() + b) * d + c] = float(sum / valid - (a.center ? all / double(n) : 0));
      }
    }
  }
}

void ref_block_scores(const BlockScoresArgs& a, const ExecContext&) {
  int64_t heads = a.q.dim(0), nq = a.q.dim(1), nk = a.k.dim(1), d = a.q.dim(2);
  float* out = a.out.as<float>();
  std::vector<double> row(static_cast<size_t>(nk));
  for (int64_t i = 0; i < heads * nq; ++i) {
    for (int64_t j = 0; j < nk; ++j) {
      double dot = 0;
      for (int64_t c = 0; c < d; ++c) dot += at3(a.q, i / nq, i % nq, c) * at3(a.k, i / nq, j, c);
      row[size_t(j)] = dot * double(a.scale);
    }
    if (!a.share.empty()) {
      double most = *std::max_element(row.begin(), row.end()), sum = 0;
      for (int64_t j = 0; j < nk; ++j) sum += row[size_t(j)] = a.share[size_t(j)] * std::exp(row[size_t(j)] - most);
      for (double& x : row) x /= sum;
    }
    std::transform(row.begin(), row.end(), out + i * nk, [](double x) { return float(x); });
  }
}

void ref_select_blocks(const SelectBlocksArgs& a, const ExecContext&) {
  int64_t nq = a.scores.dim(1), nk = a.scores.dim(2);
  std::vector<int32_t> order(static_cast<size_t>(nk));
  for (int64_t i = 0; i < a.scores.dim(0) * nq; ++i) {
    const float* s = a.scores.as<float>() + i * nk;
    uint8_t* map = a.map.as<uint8_t>() + i * nk;
    auto rank = [&](int32_t j) { return std::isnan(s[j]) ? -INFINITY : s[j]; };
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t x, int32_t y) { return rank(x) > rank(y); });
    int64_t count = std::clamp<int64_t>(a.count[a.count.size() == 1 ? 0 : size_t(i / nq)], 0, nk), begin = 0;
    if (a.rule == SelectRule::lowest) begin = nk - count;
    if (a.rule == SelectRule::mass) {
      auto amount = [&](int32_t j) { return std::isnan(s[j]) ? 0.0 : double(s[j]); };
      double all = 0, sum = 0;
      for (int32_t j : order) all += amount(j);
      int64_t n = 0;
      while (n < nk && sum < a.mass * all) sum += amount(order[size_t(n++)]);
      count = std::max(count, n);
    }
    for (int64_t j = begin; j < begin + count; ++j) map[order[size_t(j)]] = a.mark;
  }
}

void ref_kept_mass(const KeptMassArgs& a, const ExecContext&) {
  int64_t n = a.mass.dim(1) * a.mass.dim(2);
  for (int64_t h = 0; h < a.mass.dim(0); ++h) {
    double kept = 0, total = 0;
    for (int64_t i = h * n; i < (h + 1) * n; ++i) {
      double m = double(a.mass.as<float>()[i]);
      total += m;
      if (a.map.as<uint8_t>()[i] == 1) kept += m;
    }
    a.kept[size_t(h)] = kept, a.total[size_t(h)] = total;
  }
}

void ref_head_errors(const HeadErrorsArgs& a, const ExecContext&) {
  for (int64_t h = 0; h < a.a.dim(0); ++h) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < a.a.dim(1); ++i) {
      for (int64_t c = 0; c < a.a.dim(2); ++c) {
        double x = at3(a.a, h, i, c), y = at3(a.b, h, i, c);
        error += (x - y) * (x - y), norm += y * y;
      }
    }
    a.error[size_t(h)] = error, a.norm[size_t(h)] = norm;
  }
}

void ref_merge_partials(const MergePartialsArgs& a, const ExecContext&) {
  int64_t n = a.out.dim(2), heads = a.out.dim(1);
  for (int64_t i = 0; i < a.out.dim(0) * heads * n; ++i) {
    double l0 = double(a.lse0.as<float>()[i]), l1 = double(a.lse1.as<float>()[i]), most = std::max(l0, l1);
    double w0 = l0 == -INFINITY ? 0 : std::exp(l0 - most), w1 = l1 == -INFINITY ? 0 : std::exp(l1 - most);
    auto at = [&](const TensorView& v, int64_t c) { return i / n / heads * v.stride(0) + i / n % heads * v.stride(1) + i % n * v.stride(2) + c; };
    for (int64_t c = 0; c < a.out.dim(3); ++c) {
      double x = 0;
      if (w0 != 0) x += w0 * double(load_float(a.out0.data, a.out0.dtype, at(a.out0, c)));
      if (w1 != 0) x += w1 * double(load_float(a.out1.data, a.out1.dtype, at(a.out1, c)));
      store_float(a.out.data, a.out.dtype, at(a.out, c), w0 + w1 == 0 ? 0.f : float(x / (w0 + w1)));
    }
    if (a.lse) a.lse.as<float>()[i] = w0 + w1 == 0 ? -INFINITY : float(most + std::log(w0 + w1));
  }
}

}  // namespace zt
