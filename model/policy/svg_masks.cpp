#include "model/policy/svg_masks.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/plan/plan_build.h"

namespace zt {
namespace {

constexpr int64_t kBlock = 128;
constexpr int64_t kFirstRows = 10000;
// Masked queries are taken in groups that lie near each other in their order, so that most key blocks are of no concern to a
// group and are left out. At 5,376 tokens this saves a quarter of the pass.
constexpr int64_t kGroup = 16;
static_assert(kSvgRows % kGroup == 0);

uint64_t mix(uint64_t x) {  // splitmix64 finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Appends the slots [begin, end) of the temporal order as tokens: within a frame the places follow each other.
void append_places(const Grid& g, KeyRun slots, std::vector<KeyRun>& runs) {
  const int64_t s = g.h * g.w;
  auto first_place = [&](int64_t slot, int64_t frame) { return std::clamp<int64_t>((slot - frame + g.t - 1) / g.t, 0, s); };
  for (int64_t f = 0; f < g.t; ++f) {
    int64_t begin = first_place(std::max<int64_t>(slots.begin, 0), f), end = first_place(std::min(slots.end, g.tokens()), f);
    if (begin < end) runs.push_back({f * s + begin, f * s + end});
  }
}

}  // namespace

std::vector<int32_t> svg_place_major(const Grid& g) {
  std::vector<int32_t> order;
  order.reserve(size_t(g.tokens()));
  for (int64_t place = 0; place < g.h * g.w; ++place) {
    for (int64_t f = 0; f < g.t; ++f) order.push_back(int32_t(f * g.h * g.w + place));
  }
  return order;
}

std::vector<int32_t> svg_sampled_rows(int64_t tokens, uint64_t step, uint64_t layer, uint64_t branch) {
  uint64_t key = mix(mix(mix(step + 0x9e3779b97f4a7c15ull) ^ layer) ^ branch);
  std::vector<int32_t> rows;
  for (uint64_t i = 0; i < uint64_t(kSvgRows); ++i) {
    rows.push_back(int32_t(mix(key + (i + 1) * 0x9e3779b97f4a7c15ull) % uint64_t(std::min(tokens, kFirstRows))));
  }
  return rows;
}

Result<PlanPtr> svg_profile_plan(const Grid& g, std::span<const int32_t> rows) {
  const int64_t s = g.h * g.w, n = g.tokens(), reach = std::max<int64_t>(1, 2 * s / kBlock);
  auto temporal_slot = [&](int64_t token) { return token % s * g.t + token / s; };
  PlanParts p;
  p.q = {int(kSvgRows), {int32_t(kSvgRows)}}, p.k = Blocks::uniform(n, 64);
  p.q.valid.resize(1 + 2 * kSvgRows / kGroup, int32_t(kGroup));
  p.q_order.sets = 1, p.q_order.order.resize(3 * kSvgRows);
  std::iota(p.q_order.order.begin(), p.q_order.order.end(), 0);
  for (int64_t kind : {1, 2}) {
    auto slot = [&](int32_t i) {
      int64_t token = rows[size_t(i % kSvgRows)];
      return kind == 1 ? token : temporal_slot(token);
    };
    std::sort(p.q_order.order.begin() + kind * kSvgRows, p.q_order.order.begin() + (kind + 1) * kSvgRows,
              [&](int32_t a, int32_t b) { return std::pair(slot(a), a) < std::pair(slot(b), b); });
  }
  std::vector<int32_t> order = p.q_order.order;
  return plan_from_runs(std::move(p), [&](int64_t, int64_t at, std::vector<KeyRun>& runs) {
    const int64_t token = rows[size_t(order[size_t(at)] % kSvgRows)], kind = at / kSvgRows;
    if (kind == 0) return runs.push_back({0, n});
    auto band = [&](int64_t slot) { return KeyRun{(slot / kBlock - reach + 1) * kBlock, (slot / kBlock + reach) * kBlock}; };
    if (kind == 1) {
      runs.push_back({0, s});
      runs.push_back(band(token));
    } else {
      append_places(g, {0, s}, runs);
      append_places(g, band(temporal_slot(token)), runs);
    }
  });
}

Result<PlanPtr> svg_band_plan(const Grid& g, double keep) {
  const int64_t s = g.h * g.w, n = g.tokens();
  const double width = double(n) * (1 - std::sqrt(1 - keep));
  const int64_t half = kBlock * int64_t(std::ceil(width / double(kBlock)));
  PlanParts p;
  p.q = p.k = Blocks::uniform(n, int(kBlock));
  return plan_from_runs(std::move(p), [&](int64_t, int64_t slot, std::vector<KeyRun>& runs) {
    runs.push_back({0, s});
    runs.push_back({slot - half, slot + half + 1});
  });
}

}  // namespace zt
