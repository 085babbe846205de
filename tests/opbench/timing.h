// Timing in turns: on a shared machine neighbours hit all candidates alike, and ratios hold where times do not.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace zt::opbench {

inline double seconds_of(const std::function<void()>& fn) {
  auto begin = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + std::ptrdiff_t(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// Times of each candidate, one row a round; every candidate runs twice untimed first.
inline std::vector<std::vector<double>> in_turns(double budget_seconds, const std::vector<std::function<void()>>& candidates) {
  std::vector<std::vector<double>> times(candidates.size());
  for (int i = 0; i < 2; ++i) {
    for (const auto& c : candidates) c();
  }
  for (double spent = 0; spent < budget_seconds || times[0].size() < 5;) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      times[i].push_back(seconds_of(candidates[i]));
      spent += times[i].back();
    }
  }
  return times;
}

// Median over the rounds of a[i] / b[i].
inline double median_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> q;
  for (size_t i = 0; i < a.size(); ++i) q.push_back(a[i] / b[i]);
  return median(q);
}

}  // namespace zt::opbench
