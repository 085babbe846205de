// Sparse VideoGen: its masks pair by pair, its judgement of heads whose kind is known, and the plan it runs.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "model/policy/svg_masks.h"
#include "tests/model/policy_support.h"

namespace zt {
namespace {

using namespace zt::testing;

const Grid kGrids[] = {{1, 1, 1}, {1, 5, 7}, {4, 1, 3}, {5, 12, 13}, {3, 16, 20}, {9, 10, 12}};

TEST(Svg, ProfileMasksPairByPair) {
  for (const Grid& g : kGrids) {
    const int64_t s = g.h * g.w, n = g.tokens(), reach = std::max<int64_t>(1, int64_t(std::floor(2.0 * double(s) / 128)));
    auto rows = svg_sampled_rows(n, 3, 1, 0);
    PlanPtr plan = must(svg_profile_plan(g, rows));
    auto slot = [&](int64_t token) { return token % s * g.t + token / s; };  // place-major
    std::vector<uint8_t> keys(static_cast<size_t>(n));
    for (int64_t i = 0; i < 3 * kSvgRows; ++i) {
      plan->expand_row(0, i, keys);
      int64_t q = rows[size_t(i % kSvgRows)];
      for (int64_t k = 0; k < n; ++k) {
        bool spatial = std::abs(q / 128 - k / 128) < reach || k < s;
        bool temporal = std::abs(slot(q) / 128 - slot(k) / 128) < reach || slot(k) < s;
        bool want = i < kSvgRows || (i < 2 * kSvgRows ? spatial : temporal);
        ASSERT_EQ(bool(keys[size_t(k)]), want) << g.t << "x" << g.h << "x" << g.w << " row " << i << " key " << k;
      }
    }
  }
}

TEST(Svg, BandPairByPair) {
  for (const Grid& g : kGrids) {
    for (double keep : {0.0, 0.1, 0.3, 1.0}) {
      const int64_t s = g.h * g.w, n = g.tokens();
      const int64_t half = 128 * int64_t(std::ceil(double(n) * (1 - std::sqrt(1 - keep)) / 128));
      auto mask = must(must(svg_band_plan(g, keep))->expand(0));
      for (int64_t q = 0; q < n; ++q) {
        for (int64_t k = 0; k < n; ++k)
          ASSERT_EQ(bool(mask[size_t(q * n + k)]), std::abs(q - k) <= half || k < s) << q << " " << k;
      }
    }
  }
  // Far from the rounding to blocks, the band keeps what was asked: 2.81 frames a side of 21 at 0.25 (spec, from the released
  // log).
  PlanPtr wan = must(svg_band_plan({21, 45, 80}, 0.25));
  double band = 75600 * (1 - std::sqrt(0.75)) / 3600;
  EXPECT_NEAR(band, 2.81, 0.005);
  EXPECT_GT(wan->density(), 0.25);
  EXPECT_LT(wan->density(), 0.25 + 1.0 / 21 + 2 * 128.0 / 75600) << "the first frame, and up to a block on each side";
}

TEST(Svg, PlaceMajorIsATransposition) {
  auto order = svg_place_major({3, 2, 2});
  EXPECT_EQ(order, (std::vector<int32_t>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
}

TEST(Svg, SampledRows) {
  auto rows = svg_sampled_rows(50000, 1, 2, 0);
  EXPECT_EQ(rows.size(), size_t(kSvgRows));
  EXPECT_LT(*std::max_element(rows.begin(), rows.end()), 10000);
  EXPECT_GT(*std::max_element(rows.begin(), rows.end()), 7500) << "64 draws";
  EXPECT_LT(*std::min_element(rows.begin(), rows.end()), 2500);
  EXPECT_EQ(rows, svg_sampled_rows(50000, 1, 2, 0));
  std::set<std::vector<int32_t>> all;
  for (uint64_t step : {0, 1, 2}) {
    for (uint64_t layer : {0, 1, 2}) {
      for (uint64_t branch : {0, 1}) all.insert(svg_sampled_rows(50000, step, layer, branch));
    }
  }
  EXPECT_EQ(all.size(), 18u);
  for (int32_t r : svg_sampled_rows(3, 0, 0, 0)) EXPECT_LT(r, 3);
}

// Heads that look at their own frame, and heads that look at their own place in every frame.
TEST(Svg, TellsSpatialFromTemporalHeads) {
  const Grid g{8, 16, 16};
  const int64_t s = 256, n = g.tokens(), d = 64;
  auto m = make_machine();
  for (DType t : {DType::f32, DType::bf16}) {
    const bool temporal[] = {false, true, true, false};
    Tensor x = random_tensor(m->arena, t, {3, 4, n, d}, 5, 0.1f);
    Random r(6);
    // A random direction a frame or a group of places, the same in q and k.
    for (int64_t h = 0; h < 4; ++h) {
      std::vector<float> direction(size_t(256 * d));
      for (float& f : direction) f = r.normal();
      for (int64_t i = 0; i < n; ++i) {
        int64_t group = temporal[h] ? i % s / 8 : i / s;
        for (int64_t c = 0; c < d; ++c) {
          for (int64_t which : {0, 1})
            store_float(x.data(), t, ((which * 4 + h) * n + i) * d + c, direction[size_t(group * d + c)]);
        }
      }
    }
    PolicyInput in;
    in.site.grid = g, in.heads = 4;
    in.q = x.view().slice(0, 0, 1), in.k = x.view().slice(0, 1, 1), in.v = x.view().slice(0, 2, 1);
    auto policy = must(make_policy("svg"));
    PlanPtr plan = must(policy->plan(in, m->ctx));
    EXPECT_EQ(plan->parts().k_order.head_set, (std::vector<int32_t>{-1, 0, 0, -1}));
    EXPECT_EQ(plan->parts().q_order, plan->parts().k_order);
    // One band serves all; temporal heads read it in their own order.
    std::vector<uint8_t> band = must(must(svg_band_plan(g, 0.3))->expand(0)), spatial = must(plan->expand(0)),
                         other = must(plan->expand(1));
    EXPECT_EQ(spatial, band);
    auto slot = [&](int64_t token) { return token % s * g.t + token / s; };
    for (int64_t q = 0; q < n; q += 37) {
      for (int64_t k = 0; k < n; ++k) ASSERT_EQ(other[size_t(q * n + k)], band[size_t(slot(q) * n + slot(k))]);
    }
    in.site.step = 1, in.site.layer = 2;
    EXPECT_EQ(must(policy->plan(in, m->ctx)), plan) << "the same heads, the same plan";
  }
}

}  // namespace
}  // namespace zt
