#include "kernels/plan/plan_build.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

namespace zt {
namespace {

uint64_t mix(uint64_t h, uint64_t v) {  // splitmix64 finaliser over a running value
  h = (h ^ v) * 0xbf58476d1ce4e5b9ull;
  return h ^ (h >> 31);
}

// Stores equal masks once.
class MaskPool {
 public:
  explicit MaskPool(PlanParts& p) : p_(p) {}
  int32_t index(const uint64_t* words) {
    size_t n = size_t(p_.mask_size());
    uint64_t h = 0x9e3779b97f4a7c15ull;
    for (size_t i = 0; i < n; ++i) h = mix(h, words[i]);
    auto [begin, end] = known_.equal_range(h);
    for (auto it = begin; it != end; ++it) {
      if (std::equal(words, words + n, p_.mask_words.data() + size_t(it->second) * n)) return it->second;
    }
    int32_t m = int32_t(p_.mask_count());
    p_.mask_words.insert(p_.mask_words.end(), words, words + n);
    known_.emplace(h, m);
    return m;
  }

 private:
  PlanParts& p_;
  std::unordered_multimap<uint64_t, int32_t> known_;
};

// Sets bits [begin, end).
void set_bits(uint64_t* words, int64_t begin, int64_t end) {
  while (begin < end) {
    int64_t bit = begin % 64, n = std::min<int64_t>(64 - bit, end - begin);
    words[begin / 64] |= (n == 64 ? ~uint64_t(0) : (uint64_t(1) << n) - 1) << bit;
    begin += n;
  }
}

enum class Fill { none, part, whole };

Fill classify(const uint64_t* words, int64_t row_words, int32_t q_valid, int32_t k_valid) {
  bool any = false, all = true;
  for (int64_t r = 0; r < q_valid; ++r) {
    for (int64_t w = 0; w * 64 < k_valid; ++w) {
      int64_t inside = k_valid - w * 64;
      uint64_t full = inside >= 64 ? ~uint64_t(0) : (uint64_t(1) << inside) - 1, got = words[r * row_words + w];
      any |= got != 0;
      all &= got == full;
    }
    if (any && !all) return Fill::part;
  }
  return !any ? Fill::none : all ? Fill::whole : Fill::part;
}

std::vector<int32_t> block_of_slots(const Blocks& b) {
  std::vector<int32_t> of;
  for (int64_t i = 0; i < b.count(); ++i) of.insert(of.end(), size_t(b.valid[size_t(i)]), int32_t(i));
  return of;
}

}  // namespace

Result<PlanPtr> plan_all_blocks(int64_t nq, int64_t nk, int block_q, int block_k) {
  PlanParts p;
  p.q = Blocks::uniform(nq, block_q);
  p.k = Blocks::uniform(nk, block_k);
  std::vector<int32_t> map(p.q.valid.size() * p.k.valid.size(), 1);
  return plan_from_block_map(std::move(p), map);
}

Result<PlanPtr> plan_from_runs(PlanParts p, const RowRuns& rows) {
  auto began = std::chrono::steady_clock::now();
  p.dense = false;
  p.row_offsets = {0};
  p.cols.clear(), p.mask_of.clear(), p.mask_words.clear();
  int64_t row_words = p.mask_row_words(), size = p.mask_size(), k_count = p.k.count(), nk = p.k.tokens();
  std::vector<int32_t> block_of = block_of_slots(p.k);
  std::vector<int64_t> start(1, 0);
  for (int32_t v : p.k.valid) start.push_back(start.back() + v);
  // Bits of one row of blocks at a time: k tokens x block_q bits, 1 MiB for 75,600 tokens and blocks of 128.
  std::vector<uint64_t> bits(size_t(k_count * size));
  std::vector<uint8_t> touched(static_cast<size_t>(k_count));
  std::vector<KeyRun> runs;
  MaskPool pool(p);
  bool masked = false;
  for (int64_t set = 0; set < p.heads; ++set) {
    int64_t slot = 0;
    for (int32_t q_valid : p.q.valid) {
      for (int64_t r = 0; r < q_valid; ++r, ++slot) {
        runs.clear();
        rows(set, slot, runs);
        for (KeyRun run : runs) {
          run.begin = std::max<int64_t>(run.begin, 0), run.end = std::min(run.end, nk);
          while (run.begin < run.end) {
            int64_t c = block_of[size_t(run.begin)], end = std::min(run.end, start[size_t(c) + 1]);
            set_bits(bits.data() + c * size + r * row_words, run.begin - start[size_t(c)], end - start[size_t(c)]);
            touched[size_t(c)] = 1;
            run.begin = end;
          }
        }
      }
      for (int64_t c = 0; c < k_count; ++c) {
        if (!touched[size_t(c)]) continue;
        uint64_t* words = bits.data() + c * size;
        Fill fill = classify(words, row_words, q_valid, p.k.valid[size_t(c)]);
        if (fill != Fill::none) {
          p.cols.push_back(int32_t(c));
          p.mask_of.push_back(fill == Fill::whole ? -1 : pool.index(words));
          masked |= fill == Fill::part;
        }
        std::fill_n(words, size, uint64_t(0));
        touched[size_t(c)] = 0;
      }
      p.row_offsets.push_back(int64_t(p.cols.size()));
    }
  }
  if (!masked) p.mask_of.clear();
  p.planning_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return AttentionPlan::make(std::move(p));
}

Result<PlanPtr> plan_from_mask(PlanParts p, std::span<const uint8_t> mask) {
  int64_t nq = p.q.tokens(), nk = p.k.tokens();
  if (int64_t(mask.size()) != p.heads * nq * nk) {
    return invalid("plan: a mask of {} entries, expected {} x {} x {}", mask.size(), p.heads, nq, nk);
  }
  return plan_from_runs(std::move(p), [&](int64_t set, int64_t slot, std::vector<KeyRun>& runs) {
    const uint8_t* row = mask.data() + (set * nq + slot) * nk;
    for (int64_t k = 0; k < nk; ++k) {
      if (!row[k]) continue;
      int64_t begin = k;
      while (k < nk && row[k]) ++k;
      runs.push_back({begin, k});
    }
  });
}

Result<PlanPtr> plan_from_block_map(PlanParts p, std::span<const int32_t> map) {
  int64_t rows = p.heads * p.q.count(), cols = p.k.count();
  if (int64_t(map.size()) != rows * cols)
    return invalid("plan: a block map of {} entries, expected {} x {}", map.size(), rows, cols);
  p.dense = false;
  p.row_offsets = {0};
  p.cols.clear(), p.mask_of.clear();
  bool masked = false;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      int32_t v = map[size_t(r * cols + c)];
      if (v == 0) continue;
      if (v < 0) return invalid("plan: block map holds {} at row {}, block {}", v, r, c);
      p.cols.push_back(int32_t(c));
      p.mask_of.push_back(v - 2 < 0 ? -1 : v - 2);
      masked |= v > 1;
    }
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  if (!masked) p.mask_of.clear();
  return AttentionPlan::make(std::move(p));
}

Result<PlanPtr> plan_from_class_map(PlanParts p, std::span<const uint8_t> map) {
  auto began = std::chrono::steady_clock::now();
  int64_t rows = p.heads * p.q.count(), cols = p.k.count();
  if (int64_t(map.size()) != rows * cols) return invalid("plan: a class map of {} entries, expected {} x {}", map.size(), rows, cols);
  LinearPart* listed = p.linear && p.linear->scope == LinearScope::listed ? &*p.linear : nullptr;
  p.dense = false;
  p.row_offsets = {0};
  p.cols.clear(), p.mask_of.clear(), p.mask_words.clear();
  if (listed) listed->row_offsets = {0}, listed->cols.clear();
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      uint8_t kind = map[size_t(r * cols + c)];
      if (kind == 0) continue;
      if (kind > 2 || (kind == 2 && !listed)) return invalid("plan: class map holds {} at row {}, block {}", kind, r, c);
      (kind == 1 ? p.cols : listed->cols).push_back(int32_t(c));
    }
    p.row_offsets.push_back(int64_t(p.cols.size()));
    if (listed) listed->row_offsets.push_back(int64_t(listed->cols.size()));
  }
  p.planning_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return AttentionPlan::make(std::move(p));
}

Result<PlanPtr> plan_band(int64_t n, int64_t half_width, int block) {
  PlanParts p;
  p.q = p.k = Blocks::uniform(n, block);
  return plan_from_runs(std::move(p), [half_width](int64_t, int64_t slot, std::vector<KeyRun>& runs) {
    runs.push_back({slot - half_width, slot + half_width + 1});
  });
}

}  // namespace zt
