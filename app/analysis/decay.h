// How attention falls off with distance in time and in space, and what kind of head that makes: the curves of Radial
// Attention (arXiv 2506.19852, figures 4 and 8), from whole rows of probabilities.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kernels/plan/attention_plan.h"

namespace zt {

// y = exp(-a x + b), found by least squares of log y (points above 0 only) and, from there, of y itself. r2 is the
// coefficient of determination of each in its own space; 0 of too few points.
struct ExponentialFit {
  double a = 0, b = 0, r2 = 0;          // of log y
  double a_y = 0, b_y = 0, r2_y = 0;    // of y
};
ExponentialFit fit_exponential(std::span<const double> y);  // at x = 0, 1, 2, ...

enum class HeadKind : uint8_t { spatial, temporal, other };
std::string_view head_kind_name(HeadKind kind);

// Means over the rows given to it.
struct Decay {
  std::vector<double> over_frames;   // [T] probability of the key at the query's own place, by distance in frames
  std::vector<double> over_space;    // [min(s, 64)] of a key in the query's own frame, by distance in the flattened frame
  ExponentialFit frames_fit, space_fit;
  double own_frame = 0;              // share of the mass in the query's frame
  double own_place = 0;              // share at the query's place and its neighbours (3 x 3), in all frames
  HeadKind kind = HeadKind::other;
};

// rows [n, N]: probabilities of the query tokens `queries`.
Decay decay_of(std::span<const float> rows, std::span<const int32_t> queries, const Grid& grid);

}  // namespace zt
