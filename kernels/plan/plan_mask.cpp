// A plan as a mask: token rows, the whole boolean matrix, the map of blocks, and a picture of any size.
#include <algorithm>
#include <bit>

#include "kernels/plan/attention_plan.h"

namespace zt {
namespace {

// Block that holds a slot.
int64_t block_at(const std::vector<int64_t>& starts, int64_t slot) {
  return std::upper_bound(starts.begin(), starts.end(), slot) - starts.begin() - 1;
}

// Adds `weight` times the overlap of [begin, end) with each pixel, pixels being `size` equal parts of [0, total).
struct PixelSpan {
  int64_t first = 0;
  std::vector<double> share;
};

PixelSpan pixels(int64_t begin, int64_t end, int64_t total, int64_t size) {
  PixelSpan s;
  double scale = double(size) / double(total), b = double(begin) * scale, e = double(end) * scale;
  s.first = std::min(int64_t(b), size - 1);
  int64_t last = std::min(std::max(int64_t(e - 1e-12), s.first), size - 1);
  for (int64_t i = s.first; i <= last; ++i) s.share.push_back(std::min(e, double(i + 1)) - std::max(b, double(i)));
  return s;
}

}  // namespace

void AttentionPlan::expand_row(int64_t head, int64_t q, std::span<uint8_t> keys) const {
  ZT_CHECK(q >= 0 && q < nq_ && int64_t(keys.size()) == nk_);
  if (p_.dense) {
    std::fill(keys.begin(), keys.end(), uint8_t(1));
    return;
  }
  std::fill(keys.begin(), keys.end(), uint8_t(0));
  int q_set = p_.q_order.set_of(head), k_set = p_.k_order.set_of(head);
  int64_t slot = q_set < 0 ? q : p_.q_order.inverse[size_t(q_set * nq_ + q)];
  int64_t block = block_at(q_starts_, slot);
  const int32_t* k_order = k_set < 0 ? nullptr : p_.k_order.order.data() + k_set * nk_;
  Row list = row(set_of(head), block);
  for (size_t i = 0; i < list.cols.size(); ++i) {
    int64_t begin = k_starts_[size_t(list.cols[i])], count = p_.k.valid[size_t(list.cols[i])];
    int32_t m = list.masks.empty() ? -1 : list.masks[i];
    const uint64_t* words = m < 0 ? nullptr : mask(m) + (slot - q_starts_[size_t(block)]) * p_.mask_row_words();
    for (int64_t c = 0; c < count; ++c) {
      if (words && !(words[c / 64] >> (c % 64) & 1)) continue;
      keys[size_t(k_order ? k_order[begin + c] : begin + c)] = 1;
    }
  }
}

Result<std::vector<uint8_t>> AttentionPlan::expand(int64_t head) const {
  if (nq_ > kMaxExpand || nk_ > kMaxExpand) {
    return invalid("plan: a mask of {} x {} tokens is too large to expand, allowed are {} a side", nq_, nk_, kMaxExpand);
  }
  std::vector<uint8_t> mask(size_t(nq_ * nk_));
  for (int64_t q = 0; q < nq_; ++q) expand_row(head, q, {mask.data() + q * nk_, size_t(nk_)});
  return mask;
}

std::vector<uint8_t> AttentionPlan::block_map(int64_t set) const {
  int64_t rows = p_.q.count(), cols = p_.k.count();
  std::vector<uint8_t> map(size_t(rows * cols), p_.dense);
  for (int64_t r = 0; r < rows && !p_.dense; ++r) {
    for (int32_t c : row(set, r).cols) map[size_t(r * cols + c)] = 1;
  }
  return map;
}

std::vector<float> AttentionPlan::raster(int64_t head, int64_t height, int64_t width) const {
  std::vector<double> sum(size_t(height * width), 0.0);
  if (p_.dense) return std::vector<float>(sum.size(), float(density()));
  if (nq_ == 0 || nk_ == 0) return std::vector<float>(sum.size(), 0.f);
  std::vector<PixelSpan> columns;
  for (int64_t c = 0; c < p_.k.count(); ++c)
    columns.push_back(pixels(k_starts_[size_t(c)], k_starts_[size_t(c) + 1], nk_, width));
  std::vector<double> fill(size_t(p_.mask_count()), 0.0);  // kept pairs of each mask
  for (size_t m = 0; m < fill.size(); ++m) {
    for (int64_t i = 0; i < p_.mask_size(); ++i) fill[m] += std::popcount(mask(int32_t(m))[i]);
  }
  // Heads that share a list set are drawn once and weighted.
  std::vector<double> weight(size_t(p_.heads), 0.0);
  int64_t heads = p_.head_set.empty() ? p_.heads : int64_t(p_.head_set.size());
  for (int64_t h = head < 0 ? 0 : head, end = head < 0 ? heads : head + 1; h < end; ++h) weight[size_t(set_of(h))] += 1;
  double total = head < 0 ? double(heads) : 1.0;
  for (int64_t set = 0; set < p_.heads; ++set) {
    if (weight[size_t(set)] == 0) continue;
    for (int64_t r = 0; r < p_.q.count(); ++r) {
      PixelSpan rows = pixels(q_starts_[size_t(r)], q_starts_[size_t(r) + 1], nq_, height);
      Row list = row(set, r);
      for (size_t i = 0; i < list.cols.size(); ++i) {
        int32_t c = list.cols[i], m = list.masks.empty() ? -1 : list.masks[i];
        double kept = m < 0 ? 1.0 : fill[size_t(m)] / (double(p_.q.valid[size_t(r)]) * p_.k.valid[size_t(c)]);
        kept *= weight[size_t(set)] / total;
        const PixelSpan& span = columns[size_t(c)];
        for (size_t y = 0; y < rows.share.size(); ++y) {
          double* line = sum.data() + (rows.first + int64_t(y)) * width + span.first;
          for (size_t x = 0; x < span.share.size(); ++x) line[x] += kept * rows.share[y] * span.share[x];
        }
      }
    }
  }
  std::vector<float> out(sum.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = float(std::min(sum[i], 1.0));
  return out;
}

}  // namespace zt
