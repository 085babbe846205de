// The selection ops: candidates "cpu", plain code in shapes the compiler vectorises. Tasks are cut by shape only.
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/api/select.h"
#include "kernels/core/parallel.h"
#include "kernels/cpu/block_scores.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/sum_rows.h"

namespace zt {
namespace {

constexpr int64_t kTask = 16 << 10;  // elements of a task, about
constexpr float kInf = std::numeric_limits<float>::infinity();

int64_t grain(int64_t row) { return std::max<int64_t>(1, kTask / std::max<int64_t>(1, row)); }

template <class T>
const T* row_of(const TensorView& v, int64_t head, int64_t token) {
  return static_cast<const T*>(v.data) + head * v.stride(0) + token * v.stride(1);
}

// --- pool_blocks ---

// Sums of one block for all heads into out, tokens outside and heads inside: in the model's layout a token's heads lie
// side by side, so memory is read in order.
template <class T>
void sum_block(const PoolBlocksArgs& a, int64_t block, int64_t slot) {
  const int64_t heads = a.x.dim(0), n = a.x.dim(1), d = a.x.dim(2), blocks = a.blocks->count();
  const int64_t end = slot + a.blocks->valid[size_t(block)];
  auto sums = [&](int64_t h) { return a.out.as<float>() + (h * blocks + block) * d; };
  for (int64_t h = 0; h < heads; ++h) std::fill_n(sums(h), d, 0.f);
  while (slot < end) {
    const int step = end - slot >= kRowsAtOnce ? kRowsAtOnce : 1;
    for (int64_t h = 0; h < heads; ++h) {
      const int set = a.order ? a.order->set_of(h) : -1;
      const int32_t* order = set < 0 ? nullptr : a.order->order.data() + set * n;
      auto row = [&](int64_t s) { return row_of<T>(a.x, h, order ? order[s] : s); };
      const T* rows[kRowsAtOnce];
      for (int r = 0; r < step; ++r) rows[r] = row(slot + r);
      for (int r = 0; r < step && slot + step + r < n; ++r) {  // rows are too short for the machine to see them coming
        const char* next = reinterpret_cast<const char*>(row(slot + step + r));
        for (int64_t byte = 0; byte < d * int64_t(sizeof(T)); byte += 64) __builtin_prefetch(next + byte);
      }
      if (step == 1) {
        add_rows<1>(rows, d, sums(h));
      } else {
        add_rows<kRowsAtOnce>(rows, d, sums(h));
      }
    }
    slot += step;
  }
}

void run_pool_blocks(const PoolBlocksArgs& a, const ExecContext& ctx) {
  const int64_t heads = a.x.dim(0), n = a.x.dim(1), d = a.x.dim(2), blocks = a.blocks->count();
  std::vector<int64_t> starts(1, 0);
  for (int32_t v : a.blocks->valid) starts.push_back(starts.back() + v);
  parallel_for(ctx.threads, blocks, [&](int64_t b) {
    a.x.dtype == DType::f32 ? sum_block<float>(a, b, starts[size_t(b)]) : sum_block<bf16>(a, b, starts[size_t(b)]);
  });
  parallel_for(ctx.threads, heads, [&](int64_t h) {
    float* sums = a.out.as<float>() + h * blocks * d;
    for (int64_t c = 0; c < d; ++c) {
      double all = 0;
      for (int64_t b = 0; a.center && b < blocks; ++b) all += double(sums[b * d + c]);
      double mean = a.center ? all / double(n) : 0;
      for (int64_t b = 0; b < blocks; ++b) sums[b * d + c] = float(double(sums[b * d + c]) / a.blocks->valid[size_t(b)] - mean);
    }
  });
}

// --- block_scores ---

void shares(float* row, std::span<const int32_t> counts) {
  float most = -kInf;
  for (size_t j = 0; j < counts.size(); ++j) most = std::max(most, row[j]);
  double sum = 0;
  for (size_t j = 0; j < counts.size(); ++j) sum += double(row[j] = float(counts[j]) * std::exp(row[j] - most));
  for (size_t j = 0; j < counts.size(); ++j) row[j] = float(double(row[j]) / sum);
}

void run_block_scores(const BlockScoresArgs& a, const ExecContext& ctx) {
  constexpr int64_t kRows = 64;
  const int64_t heads = a.q.dim(0), nq = a.q.dim(1), nk = a.k.dim(1), d = a.q.dim(2), tasks = (nq + kRows - 1) / kRows;
  parallel_for(ctx.threads, heads * tasks, [&](int64_t t) {
    const int64_t h = t / tasks, begin = t % tasks * kRows, rows = std::min(kRows, nq - begin);
    float* out = a.out.as<float>() + (h * nq + begin) * nk;
    score_rows(a.q.as<float>() + (h * nq + begin) * d, rows, a.k.as<float>() + h * nk * d, nk, d, a.scale, out);
    if (a.share.empty()) return;
    for (int64_t i = 0; i < rows; ++i) shares(out + i * nk, a.share);
  });
}

// --- select_blocks ---

// Orders as the rule asks: higher scores first, then lower blocks; NaN counts as -inf and -0 as 0. All keys of a row differ,
// so a partial selection takes the same blocks as a stable sort.
uint64_t rank_key(float score, int32_t block) {
  uint32_t u = std::bit_cast<uint32_t>(std::isnan(score) ? -kInf : score + 0.f);
  u = u >> 31 ? ~u : u | 0x80000000u;
  return uint64_t(u) << 32 | uint32_t(~block);
}

int32_t block_of_key(uint64_t key) { return int32_t(~uint32_t(key)); }

// Blocks of the best until their sum reaches the share asked for; keys are sorted.
int64_t mass_count(const SelectBlocksArgs& a, const float* scores, const uint64_t* keys, int64_t nk) {
  auto amount = [&](int64_t i) {
    float s = scores[block_of_key(keys[i])];
    return std::isnan(s) ? 0.0 : double(s);
  };
  double all = 0, sum = 0;
  for (int64_t i = 0; i < nk; ++i) all += amount(i);
  int64_t n = 0;
  while (n < nk && sum < a.mass * all) sum += amount(n++);
  return n;
}

void run_select_blocks(const SelectBlocksArgs& a, const ExecContext& ctx) {
  const int64_t nq = a.scores.dim(1), nk = a.scores.dim(2), rows = a.scores.dim(0) * nq;
  std::vector<uint64_t> scratch(size_t(std::max(1, ctx.threads) * nk));
  parallel_ranges(ctx.threads, rows, grain(nk), [&](int64_t begin, int64_t end) {
    uint64_t *keys = scratch.data() + thread_index() * nk, *keys_end = keys + nk;
    for (int64_t i = begin; i < end; ++i) {
      const float* scores = a.scores.as<float>() + i * nk;
      uint8_t* map = a.map.as<uint8_t>() + i * nk;
      int64_t count = std::clamp<int64_t>(a.count[a.count.size() == 1 ? 0 : size_t(i / nq)], 0, nk), first = 0;
      for (int64_t j = 0; j < nk; ++j) keys[j] = rank_key(scores[j], int32_t(j));
      if (a.rule == SelectRule::mass) {
        std::sort(keys, keys_end, std::greater<>());
        count = std::max(count, mass_count(a, scores, keys, nk));
      } else {
        if (a.rule == SelectRule::lowest) first = nk - count;
        int64_t cut = a.rule == SelectRule::lowest ? first : count;
        if (cut < nk) std::nth_element(keys, keys + cut, keys_end, std::greater<>());
      }
      for (int64_t j = first; j < first + count; ++j) map[block_of_key(keys[j])] = a.mark;
    }
  });
}

// --- kept_mass, head_errors ---

void run_kept_mass(const KeptMassArgs& a, const ExecContext& ctx) {
  const int64_t n = a.mass.dim(1) * a.mass.dim(2);
  parallel_for(ctx.threads, a.mass.dim(0), [&](int64_t h) {
    const float* mass = a.mass.as<float>() + h * n;
    const uint8_t* map = a.map.as<uint8_t>() + h * n;
    double kept = 0, total = 0;
    for (int64_t i = 0; i < n; ++i) {
      total += double(mass[i]);
      kept += map[i] == 1 ? double(mass[i]) : 0.0;
    }
    a.kept[size_t(h)] = kept, a.total[size_t(h)] = total;
  });
}

template <class A, class B>
void head_error(const HeadErrorsArgs& a, int64_t h) {
  double error = 0, norm = 0;
  for (int64_t i = 0; i < a.a.dim(1); ++i) {
    const A* x = row_of<A>(a.a, h, i);
    const B* y = row_of<B>(a.b, h, i);
    for (int64_t c = 0; c < a.a.dim(2); ++c) {
      double want = double(float(y[c])), off = double(float(x[c])) - want;
      error += off * off, norm += want * want;
    }
  }
  a.error[size_t(h)] = error, a.norm[size_t(h)] = norm;
}

void run_head_errors(const HeadErrorsArgs& a, const ExecContext& ctx) {
  auto* fn = a.a.dtype == DType::f32 ? (a.b.dtype == DType::f32 ? head_error<float, float> : head_error<float, bf16>)
                                     : (a.b.dtype == DType::f32 ? head_error<bf16, float> : head_error<bf16, bf16>);
  parallel_for(ctx.threads, a.a.dim(0), [&](int64_t h) { fn(a, h); });
}

// --- merge_partials ---

void run_merge_partials(const MergePartialsArgs& a, const ExecContext& ctx) {
  constexpr int64_t kPiece = 128;  // channels at a time, as floats on the stack
  const int64_t heads = a.out.dim(1), n = a.out.dim(2), d = a.out.dim(3);
  parallel_ranges(ctx.threads, a.out.dim(0) * heads * n, grain(d), [&](int64_t begin, int64_t end) {
    float part0[kPiece], part1[kPiece];
    for (int64_t i = begin; i < end; ++i) {
      auto at = [&](const TensorView& v, int64_t c) {
        int64_t element = i / n / heads * v.stride(0) + i / n % heads * v.stride(1) + i % n * v.stride(2) + c;
        return static_cast<char*>(v.data) + element * int64_t(dtype_size(v.dtype));
      };
      const double l0 = double(a.lse0.as<float>()[i]), l1 = double(a.lse1.as<float>()[i]);
      const bool no0 = std::isinf(l0) && l0 < 0, no1 = std::isinf(l1) && l1 < 0;
      const float w = float(1 / (1 + std::exp(l0 - l1)));
      for (int64_t c = 0; c < d; c += kPiece) {
        const int64_t count = std::min(kPiece, d - c);
        // What a part without keys holds is not looked at: it may be NaN.
        std::fill_n(part0, count, 0.f);
        if (!no0) convert_floats(at(a.out0, c), a.out0.dtype, part0, DType::f32, count);
        if (!no1) convert_floats(at(a.out1, c), a.out1.dtype, part1, DType::f32, count);
        if (no0 && !no1) std::copy_n(part1, count, part0);
        if (!no0 && !no1) {
          for (int64_t x = 0; x < count; ++x) part0[x] += w * (part1[x] - part0[x]);
        }
        convert_floats(part0, DType::f32, at(a.out, c), a.out.dtype, count);
      }
      if (!a.lse) continue;
      const double both = std::max(l0, l1) + std::log1p(std::exp(-std::abs(l0 - l1)));
      a.lse.as<float>()[i] = float(no0 ? l1 : no1 ? l0 : both);
    }
  });
}

template <class Args>
void add(Candidates<Args>& list, void (*run)(const Args&, const ExecContext&)) {
  list.push_back({"cpu", [](const Args&, const ExecContext&) { return std::string_view(); }, run});
}

}  // namespace

void add_select_ops(OpTable& t) {
  add(t.pool_blocks, run_pool_blocks);
  add(t.block_scores, run_block_scores);
  add(t.select_blocks, run_select_blocks);
  add(t.kept_mass, run_kept_mass);
  add(t.head_errors, run_head_errors);
  add(t.merge_partials, run_merge_partials);
}

}  // namespace zt
