// Building block maps on the device: pool, score, choose, weigh; and the sums per head by which methods decide.
#pragma once

#include <vector>

#include "kernels/api/select.h"
#include "kernels/cuda/ops/access.cuh"

namespace zt::cuda {
namespace {

// Heads of a tensor [H, N, D] of any strides.
struct HeadValues {
  Values v;
  int64_t head_stride, row_stride;
};
inline HeadValues head_values(const TensorView& v) { return {values(v), v.stride(0), v.stride(1)}; }

// One block a pair (head, block of tokens), threads over channels.
struct PoolKernel {
  static constexpr std::string_view kName = "pool_blocks";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Params {
    HeadValues x;
    hw::gptr<const int32_t> starts, order, set_of_head;  // starts [blocks + 1]; order [sets, tokens]
    hw::gptr<float> out;
    int64_t blocks, tokens;
    int d;
    bool ordered;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t b = hw::block_x(), h = hw::block_y();
    const int first = hw::ldg(p.starts + b), last = hw::ldg(p.starts + b + 1);
    const int set = p.ordered ? hw::ldg(p.set_of_head + h) : -1;
    for (int c = hw::thread(); c < p.d; c += kThreads) {
      float sum = 0;
      for (int slot = first; slot < last; ++slot) {
        const int64_t token = set < 0 ? slot : hw::ldg(p.order + (int64_t(set) * p.tokens + slot));
        sum += load(p.x.v, h * p.x.head_stride + token * p.x.row_stride + c);
      }
      hw::stg(p.out + ((h * p.blocks + b) * p.d + c), hw::div(sum, float(last - first)));
    }
  }
};

// Takes the mean over all tokens away: the means of blocks weighted by their counts are that mean, so tokens are read once.
struct CenterKernel {
  static constexpr std::string_view kName = "pool_blocks (center)";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Params {
    hw::gptr<const int32_t> starts;
    hw::gptr<float> out;
    int64_t blocks;
    int d;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t h = hw::block_x();
    const float tokens = float(hw::ldg(p.starts + p.blocks));
    for (int c = hw::thread(); c < p.d; c += kThreads) {
      float sum = 0;
      for (int64_t b = 0; b < p.blocks; ++b) {
        const float count = float(hw::ldg(p.starts + b + 1) - hw::ldg(p.starts + b));
        sum = hw::fma(count, hw::ldg(p.out + ((h * p.blocks + b) * p.d + c)), sum);
      }
      const float mean = hw::div(sum, tokens);
      for (int64_t b = 0; b < p.blocks; ++b) {
        const int64_t at = (h * p.blocks + b) * p.d + c;
        hw::stg(p.out + at, hw::ldg(p.out + at) - mean);
      }
    }
  }
};

inline void run_pool_blocks(const PoolBlocksArgs& a, const ExecContext& ctx) {
  const int64_t heads = a.x.dim(0), n = a.x.dim(1), blocks = a.blocks->count();
  const bool ordered = a.order && a.order->sets > 0;
  std::vector<int32_t> starts(1, 0), sets;
  for (int32_t v : a.blocks->valid) starts.push_back(starts.back() + v);
  for (int64_t h = 0; ordered && h < heads; ++h) sets.push_back(a.order->set_of(h));
  const std::vector<int32_t> in_place;
  Scratch starts_at(starts, ctx), sets_at(sets, ctx), order_at(ordered ? a.order->order : in_place, ctx);
  if (!starts_at || !sets_at || !order_at) return;
  auto ints = [](const Scratch& s) { return hw::global<int32_t>(static_cast<const void*>(s.data())); };
  hw::gptr<float> out = hw::global<float>(a.out.data);
  start<PoolKernel>(ctx, blocks, heads, 0,
                    {head_values(a.x), ints(starts_at), ints(order_at), ints(sets_at), out, blocks, n, int(a.x.dim(2)), ordered});
  if (a.center) start<CenterKernel>(ctx, heads, 1, 0, {ints(starts_at), out, blocks, int(a.x.dim(2))});
}

// One block a row (head, query block), threads over key blocks; each thread reads back only what it wrote.
struct ScoresKernel {
  static constexpr std::string_view kName = "block_scores";
  static constexpr int kThreads = 128, kMinBlocks = 4, kWarps = kThreads / 32;
  static constexpr uint32_t shared(int d) { return uint32_t(kWarps * 4 + d * 4); }
  struct Params {
    hw::gptr<const float> q, k;
    hw::gptr<const int32_t> share;
    hw::gptr<float> out;
    int64_t nq, nk;
    int d;
    float scale;
    bool shares;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t i = hw::block_x(), h = hw::block_y();
    const hw::saddr sums = hw::shared(), query = sums + kWarps * 4;
    for (int c = hw::thread(); c < p.d; c += kThreads) hw::sts(query + c * 4, hw::ldg(p.q + ((h * p.nq + i) * p.d + c)));
    hw::sync_block();
    const int64_t row = (h * p.nq + i) * p.nk;
    float most = -hw::float_of(0x7f800000u);
    for (int64_t j = hw::thread(); j < p.nk; j += kThreads) {
      float dot = 0;
      for (int c = 0; c < p.d; ++c) dot = hw::fma(hw::lds<float>(query + c * 4), hw::ldg(p.k + ((h * p.nk + j) * p.d + c)), dot);
      dot *= p.scale;
      hw::stg(p.out + (row + j), dot);
      most = hw::max(most, dot);
    }
    if (!p.shares) return;
    most = max_block(most, sums, kWarps);
    float sum = 0;
    for (int64_t j = hw::thread(); j < p.nk; j += kThreads) {
      const float e = float(hw::ldg(p.share + j)) * hw::exp2((hw::ldg(p.out + (row + j)) - most) * kLog2e);
      hw::stg(p.out + (row + j), e);
      sum += e;
    }
    sum = sum_block(sum, sums, kWarps);
    for (int64_t j = hw::thread(); j < p.nk; j += kThreads) hw::stg(p.out + (row + j), hw::div(hw::ldg(p.out + (row + j)), sum));
  }
};

inline void run_block_scores(const BlockScoresArgs& a, const ExecContext& ctx) {
  Scratch share(a.share, ctx);
  if (!share) return;
  auto floats = [](const TensorView& v) { return hw::global<float>(static_cast<const void*>(v.data)); };
  start<ScoresKernel>(ctx, a.q.dim(1), a.q.dim(0), ScoresKernel::shared(int(a.q.dim(2))),
                      {floats(a.q), floats(a.k), hw::global<int32_t>(static_cast<const void*>(share.data())), hw::global<float>(a.out.data),
                       a.q.dim(1), a.k.dim(1), int(a.q.dim(2)), a.scale, !a.share.empty()});
}

// One block a row. A score's rank is how many others come before it, so ties and the order are exactly those of a stable sort;
// rows are short enough for the square of their length.
struct SelectKernel {
  static constexpr std::string_view kName = "select_blocks";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  static constexpr int64_t kMost = 12000;  // key blocks: two floats each in shared memory, 96 KB
  static constexpr uint32_t shared(int64_t nk) { return uint32_t(16 + nk * 8); }
  struct Params {
    hw::gptr<const float> scores;
    hw::gptr<const int32_t> count;
    hw::gptr<uint8_t> map;
    int64_t nq;
    int nk, counts;
    SelectRule rule;
    double mass;
    uint8_t mark;
  };
  static ZT_DEVICE int rank_of(hw::saddr keys, int nk, int j) {
    const float key = hw::lds<float>(keys + j * 4);
    int before = 0;
    for (int i = 0; i < nk; ++i) {
      const float other = hw::lds<float>(keys + i * 4);
      before += other > key || (other == key && i < j) ? 1 : 0;
    }
    return before;
  }
  // How many of the best reach `mass` of the row's sum, the crossing one included. One thread: the sum runs best first, in double.
  static ZT_DEVICE int reaching(hw::saddr sorted, int nk, double mass) {
    double all = 0, sum = 0;
    for (int i = 0; i < nk; ++i) all += double(hw::lds<float>(sorted + i * 4));
    int n = 0;
    while (n < nk && sum < mass * all) sum += double(hw::lds<float>(sorted + n++ * 4));
    return n;
  }
  static ZT_DEVICE void run(const Params& p) {
    const int64_t h = hw::block_y(), row = (h * p.nq + hw::block_x()) * p.nk;
    const hw::saddr answer = hw::shared(), keys = answer + 16, sorted = keys + p.nk * 4;
    for (int j = hw::thread(); j < p.nk; j += kThreads) {
      const float s = hw::ldg(p.scores + (row + j));
      hw::sts(keys + j * 4, s != s ? -hw::float_of(0x7f800000u) : s);
    }
    hw::sync_block();
    int count = hw::ldg(p.count + (p.counts == 1 ? 0 : h));
    count = count < 0 ? 0 : count > p.nk ? p.nk : count;
    if (p.rule == SelectRule::mass) {
      for (int j = hw::thread(); j < p.nk; j += kThreads) {
        const float s = hw::ldg(p.scores + (row + j));
        hw::sts(sorted + rank_of(keys, p.nk, j) * 4, s != s ? 0.f : s);
      }
      hw::sync_block();
      if (hw::thread() == 0) hw::sts(answer, reaching(sorted, p.nk, p.mass));
      hw::sync_block();
      const int n = hw::lds<int>(answer);
      count = count > n ? count : n;
    }
    const int begin = p.rule == SelectRule::lowest ? p.nk - count : 0;
    for (int j = hw::thread(); j < p.nk; j += kThreads) {
      const int rank = rank_of(keys, p.nk, j);
      if (rank >= begin && rank < begin + count) hw::stg(p.map + (row + j), p.mark);
    }
  }
};

inline void run_select_blocks(const SelectBlocksArgs& a, const ExecContext& ctx) {
  Scratch count(a.count, ctx);
  if (!count) return;
  const int64_t nk = a.scores.dim(2);
  start<SelectKernel>(ctx, a.scores.dim(1), nk > 0 ? a.scores.dim(0) : 0, SelectKernel::shared(nk),
                      {hw::global<float>(static_cast<const void*>(a.scores.data)),
                       hw::global<int32_t>(static_cast<const void*>(count.data())), hw::global<uint8_t>(a.map.data), a.scores.dim(1),
                       int(nk), int(a.count.size()), a.rule, a.mass, a.mark});
}

// Two sums a head in double, one block a head and part; the parts are added on the host, in order.
template <class Body>
struct SumsKernel {
  static constexpr std::string_view kName = Body::kName;
  static constexpr int kThreads = 256, kMinBlocks = 2, kWarps = kThreads / 32;
  static constexpr uint32_t kShared = kWarps * 8;
  struct Params {
    typename Body::Params body;
    hw::gptr<double> out;  // [heads, parts, 2]
    int64_t count;         // values a head
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t part = hw::block_x(), parts = hw::grid_x(), h = hw::block_y();
    double first = 0, second = 0;
    for (int64_t i = part * kThreads + hw::thread(); i < p.count; i += parts * kThreads) Body::add(p.body, h, i, first, second);
    first = sum_block(first, hw::shared(), kWarps);
    second = sum_block(second, hw::shared(), kWarps);
    if (hw::thread() != 0) return;
    hw::stg(p.out + ((h * parts + part) * 2), first);
    hw::stg(p.out + ((h * parts + part) * 2 + 1), second);
  }
};

struct KeptMassBody {
  static constexpr std::string_view kName = "kept_mass";
  struct Params {
    hw::gptr<const float> mass;
    hw::gptr<const uint8_t> map;
    int64_t count;
  };
  static ZT_DEVICE void add(const Params& p, int64_t h, int64_t i, double& kept, double& total) {
    const double m = double(hw::ldg(p.mass + (h * p.count + i)));
    total += m;
    if (hw::ldg(p.map + (h * p.count + i)) == 1) kept += m;
  }
};

struct HeadErrorsBody {
  static constexpr std::string_view kName = "head_errors";
  struct Params {
    HeadValues a, b;
    int64_t d;
  };
  static ZT_DEVICE void add(const Params& p, int64_t h, int64_t i, double& error, double& norm) {
    const double x = double(load(p.a.v, h * p.a.head_stride + i / p.d * p.a.row_stride + i % p.d));
    const double y = double(load(p.b.v, h * p.b.head_stride + i / p.d * p.b.row_stride + i % p.d));
    error += (x - y) * (x - y), norm += y * y;
  }
};

template <class Body>
void sums_of_heads(const typename Body::Params& body, int64_t heads, int64_t count, std::span<double> first, std::span<double> second,
                   const ExecContext& ctx) {
  std::fill(first.begin(), first.end(), 0.0), std::fill(second.begin(), second.end(), 0.0);
  if (heads == 0 || count == 0) return;
  const int64_t parts = std::min<int64_t>(32, ceil_div(count, 4096));
  std::vector<double> sums(size_t(heads * parts * 2));
  Scratch out(sums.size() * sizeof(double), ctx);
  if (!out) return;
  start<SumsKernel<Body>>(ctx, parts, heads, SumsKernel<Body>::kShared, {body, hw::global<double>(out.data()), count});
  if (!device_of(ctx).download(sums.data(), out.data(), sums.size() * sizeof(double)).ok()) return;  // the error is kept
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t p = 0; p < parts; ++p) first[size_t(h)] += sums[size_t(h * parts + p) * 2], second[size_t(h)] += sums[size_t(h * parts + p) * 2 + 1];
  }
}

inline void run_kept_mass(const KeptMassArgs& a, const ExecContext& ctx) {
  const int64_t count = a.mass.dim(1) * a.mass.dim(2);
  sums_of_heads<KeptMassBody>({hw::global<float>(static_cast<const void*>(a.mass.data)),
                               hw::global<uint8_t>(static_cast<const void*>(a.map.data)), count},
                              a.mass.dim(0), count, a.kept, a.total, ctx);
}
inline void run_head_errors(const HeadErrorsArgs& a, const ExecContext& ctx) {
  sums_of_heads<HeadErrorsBody>({head_values(a.a), head_values(a.b), a.a.dim(2)}, a.a.dim(0), a.a.dim(1) * a.a.dim(2), a.error, a.norm, ctx);
}

// One warp a row of [B, H, N].
struct MergeKernel {
  static constexpr std::string_view kName = "merge_partials";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Tensor4 {
    Values v;
    int64_t b, h, n;  // strides
  };
  struct Params {
    Tensor4 out0, out1, out;
    hw::gptr<const float> lse0, lse1;
    hw::gptr<float> lse;
    int64_t rows, heads, n;
    int d;
    bool has_lse;
  };
  static ZT_DEVICE int64_t at(const Tensor4& t, const Params& p, int64_t row) {
    return row / p.n / p.heads * t.b + row / p.n % p.heads * t.h + row % p.n * t.n;
  }
  static ZT_DEVICE void run(const Params& p) {
    const int64_t row = int64_t(hw::block_x()) * (kThreads / 32) + hw::thread() / 32;
    if (row >= p.rows) return;
    const float none = -hw::float_of(0x7f800000u);
    const float l0 = hw::ldg(p.lse0 + row), l1 = hw::ldg(p.lse1 + row), most = hw::max(l0, l1);
    const float w0 = l0 == none ? 0.f : hw::exp2((l0 - most) * kLog2e), w1 = l1 == none ? 0.f : hw::exp2((l1 - most) * kLog2e);
    const float sum = w0 + w1;
    for (int c = hw::thread() % 32; c < p.d; c += 32) {
      float x = 0;
      if (w0 != 0.f) x += w0 * load(p.out0.v, at(p.out0, p, row) + c);
      if (w1 != 0.f) x += w1 * load(p.out1.v, at(p.out1, p, row) + c);
      store(p.out.v, at(p.out, p, row) + c, sum == 0.f ? 0.f : hw::div(x, sum));
    }
    if (p.has_lse && hw::thread() % 32 == 0) hw::stg(p.lse + row, sum == 0.f ? none : most + hw::log2(sum) / kLog2e);
  }
};

inline void run_merge_partials(const MergePartialsArgs& a, const ExecContext& ctx) {
  auto four = [](const TensorView& v) { return MergeKernel::Tensor4{values(v), v.stride(0), v.stride(1), v.stride(2)}; };
  auto floats = [](const TensorView& v) { return hw::global<float>(static_cast<const void*>(v.data)); };
  const int64_t rows = a.out.dim(0) * a.out.dim(1) * a.out.dim(2);
  start<MergeKernel>(ctx, ceil_div(rows, 4), 1, 0,
                     {four(a.out0), four(a.out1), four(a.out), floats(a.lse0), floats(a.lse1), hw::global<float>(a.lse.data), rows,
                      a.out.dim(1), a.out.dim(2), int(a.out.dim(3)), bool(a.lse)});
}

}  // namespace
}  // namespace zt::cuda
