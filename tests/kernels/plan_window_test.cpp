// Windows against brute force: the rule is written a second time here, per query, from the text of the method.
#include <algorithm>
#include <functional>
#include <set>

#include "kernels/plan/plan_window.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using testing::must;
using testing::Random;

// Keys of query i: the residue class of i written out as a list, the window cut out of that list.
std::set<int64_t> brute_keys(int64_t length, int64_t i, int64_t window, int64_t stride, int64_t dilation) {
  std::vector<int64_t> members;
  for (int64_t k = 0; k < length; ++k) {
    if (k % dilation == i % dilation) members.push_back(k);
  }
  int64_t n = int64_t(members.size()), at = std::find(members.begin(), members.end(), i) - members.begin();
  window = std::min(window, n);
  stride = std::min(stride, window);
  int64_t group = at - at % stride, leader = group + stride / 2;
  if (leader > n - 1) leader = n - 1;
  int64_t begin = leader - window / 2;
  while (begin < 0) ++begin;
  while (begin + window > n) --begin;
  return {members.begin() + begin, members.begin() + begin + window};
}

TEST(Window, AxisRuleIsBruteForceForAllSmallCases) {
  int cases = 0;
  for (int64_t length = 1; length <= 24; ++length) {
    for (int64_t window = 1; window <= length + 2; ++window) {
      for (int64_t stride = 1; stride <= window; ++stride) {
        for (int64_t dilation = 1; dilation <= length; ++dilation) {
          for (int64_t i = 0; i < length; ++i, ++cases) {
            AxisKeys keys = window_keys(length, i, window, stride, dilation);
            std::set<int64_t> want = brute_keys(length, i, window, stride, dilation), got;
            for (int64_t n = 0; n < keys.count; ++n) got.insert(keys.begin + n * keys.step);
            ASSERT_EQ(got, want) << "L " << length << " w " << window << " s " << stride << " d " << dilation << " i " << i;
            for (int64_t k = 0; k < length; ++k) ASSERT_EQ(keys.has(k), want.contains(k));
          }
        }
      }
    }
  }
  EXPECT_GT(cases, 500000);
}

// Every query sees exactly the window's number of keys where the class is long enough, itself among them when stride is 1.
TEST(Window, SizesAndOwnKey) {
  for (int64_t length = 1; length <= 20; ++length) {
    for (int64_t window = 1; window <= length; ++window) {
      for (int64_t i = 0; i < length; ++i) {
        AxisKeys keys = window_keys(length, i, window, 1, 1);
        EXPECT_EQ(keys.count, window);
        EXPECT_TRUE(keys.has(i));
      }
    }
  }
}

void same_mask(const PlanPtr& plan, const Grid& g, const std::function<bool(Thw, Thw)>& keep, const std::string& what) {
  auto mask = must(plan->expand(0));
  auto place = [&](int64_t n) { return Thw{n / (g.h * g.w), n / g.w % g.h, n % g.w}; };
  for (int64_t q = 0; q < g.tokens(); ++q) {
    for (int64_t k = 0; k < g.tokens(); ++k) {
      ASSERT_EQ(bool(mask[size_t(q * g.tokens() + k)]), keep(place(q), place(k))) << what << " q " << q << " k " << k;
    }
  }
}

TEST(Window, TokenPlanIsTheProductOfItsAxes) {
  Random r(1);
  for (int i = 0; i < 400; ++i) {
    auto thw = [&](int64_t n) { return Thw{1 + r.below(n), 1 + r.below(n), 1 + r.below(n)}; };
    Thw size = thw(6), window = thw(7), tile = thw(5), dilation = thw(4);
    Grid g{size.t, size.h, size.w};
    Thw stride{1 + r.below(window.t), 1 + r.below(window.h), 1 + r.below(window.w)};
    dilation = {std::min(dilation.t, g.t), std::min(dilation.h, g.h), std::min(dilation.w, g.w)};
    PlanPtr plan = must(plan_token_window(g, {window, stride, dilation}, tile));
    std::vector<std::vector<std::set<int64_t>>> keys(3);
    for (int axis = 0; axis < 3; ++axis) {
      for (int64_t n = 0; n < size[axis]; ++n)
        keys[size_t(axis)].push_back(brute_keys(size[axis], n, window[axis], stride[axis], dilation[axis]));
    }
    same_mask(
        plan, g,
        [&](Thw q, Thw k) {
          return keys[0][size_t(q.t)].contains(k.t) && keys[1][size_t(q.h)].contains(k.h) && keys[2][size_t(q.w)].contains(k.w);
        },
        "case " + std::to_string(i));
  }
}

TEST(Window, TilePlanIsTheRuleOnTiles) {
  Random r(2);
  for (int i = 0; i < 400; ++i) {
    auto thw = [&](int64_t n) { return Thw{1 + r.below(n), 1 + r.below(n), 1 + r.below(n)}; };
    Thw size = thw(7), window = thw(4), tile = thw(4);
    Grid g{size.t, size.h, size.w};
    Thw stride{1 + r.below(window.t), 1 + r.below(window.h), 1 + r.below(window.w)};
    PlanPtr plan = must(plan_tile_window(g, {window, stride, {1, 1, 1}}, tile));
    EXPECT_FALSE(plan->has_masks());
    same_mask(
        plan, g,
        [&](Thw q, Thw k) {
          for (int axis = 0; axis < 3; ++axis) {
            int64_t t = std::min(tile[axis], size[axis]), n = (size[axis] + t - 1) / t;
            if (!brute_keys(n, q[axis] / t, window[axis], stride[axis], 1).contains(k[axis] / t)) return false;
          }
          return true;
        },
        "case " + std::to_string(i));
  }
}

// STA's own rule (arXiv 2502.04507): the query tile's centre is moved inside the volume, keys within half a window of it.
TEST(Window, SlidingTileAttentionIsATileWindow) {
  Grid g{30, 48, 80};
  PlanPtr plan = must(plan_tile_window(g, {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}}, {6, 8, 8}));
  EXPECT_EQ(plan->parts().q.count(), 300);
  EXPECT_DOUBLE_EQ(plan->density(), 27.0 / 300.0);
  auto map = plan->block_map(0);
  auto near = [](int64_t q, int64_t k, int64_t n) { return std::abs(std::clamp<int64_t>(q, 1, n - 2) - k) <= 1; };
  for (int64_t q = 0; q < 300; ++q) {
    for (int64_t k = 0; k < 300; ++k) {
      bool kept = near(q / 60, k / 60, 5) && near(q / 10 % 6, k / 10 % 6, 6) && near(q % 10, k % 10, 10);
      ASSERT_EQ(map[size_t(q * 300 + k)], kept);
    }
  }
}

TEST(Window, BlockedWindowsArePartitions) {  // Swin without shift: stride = window
  Grid g{1, 8, 8};
  PlanPtr plan = must(plan_token_window(g, {{1, 4, 4}, {1, 4, 4}, {1, 1, 1}}, {1, 4, 4}));
  EXPECT_FALSE(plan->has_masks());
  EXPECT_EQ(plan->kept_blocks(), 4);
  EXPECT_DOUBLE_EQ(plan->density(), 0.25);
}

TEST(Window, EdgesAreDefined) {
  for (Grid g : {Grid{1, 1, 1}, Grid{1, 1, 3}, Grid{3, 1, 1}, Grid{1, 2, 3}}) {
    PlanPtr plan = must(plan_token_window(g, {{18, 24, 24}, {1, 1, 1}, {1, 1, 1}}, {4, 4, 4}));
    EXPECT_EQ(plan->density(), 1) << g.t << g.h << g.w;
    EXPECT_EQ(plan->stats().empty_rows, 0);
    EXPECT_EQ(must(plan_tile_window(g, {{9, 9, 9}, {9, 9, 9}, {1, 1, 1}}, {4, 4, 4}))->density(), 1);
  }
  EXPECT_FALSE(plan_token_window({1, 1, 0}, {}, {4, 4, 4}).ok());
  EXPECT_FALSE(plan_token_window({1, 1, 4}, {}, {64, 64, 64}).ok());
}

// Density of GNA 18x24x24 on 30x48x80 (arXiv 2504.16922, table 2: 91% sparse) and of FreeSwim at 68x120 (31 x 53).
TEST(Window, PublishedDensities) {
  PlanPtr gna = must(plan_token_window({30, 48, 80}, {{18, 24, 24}, {16, 8, 8}, {1, 1, 1}}, {2, 8, 8}));
  EXPECT_DOUBLE_EQ(gna->density(), 18.0 * 24 * 24 / (30 * 48 * 80));
  EXPECT_FALSE(must(plan_token_window({1, 68, 120}, {{1, 31, 53}, {1, 1, 1}, {1, 1, 1}}, {1, 8, 8}))->is_dense());
  EXPECT_DOUBLE_EQ(must(plan_token_window({1, 68, 120}, {{1, 31, 53}, {1, 1, 1}, {1, 1, 1}}, {1, 8, 8}))->density(),
                   31.0 * 53 / 8160);
}

}  // namespace
}  // namespace zt
