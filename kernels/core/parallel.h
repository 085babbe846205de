// Compute threads are OpenMP. Work is cut into tasks by shape only, never by thread count, so results are
// bit-equal for every number of threads. fn must not throw.
#pragma once

#include <algorithm>
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace zt {

// fn(i) for i in [0, n), tasks taken in order as threads become free.
template <class F>
void parallel_for(int threads, int64_t n, F&& fn) {
#ifdef _OPENMP
  if (threads > 1 && n > 1) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(int(std::min<int64_t>(threads, n)))
    for (int64_t i = 0; i < n; ++i) fn(i);
    return;
  }
#endif
  (void)threads;
  for (int64_t i = 0; i < n; ++i) fn(i);
}

// fn(begin, end) over [0, n) in chunks of `grain`.
template <class F>
void parallel_ranges(int threads, int64_t n, int64_t grain, F&& fn) {
  int64_t tasks = (n + grain - 1) / grain;
  parallel_for(threads, tasks, [&](int64_t t) { fn(t * grain, std::min(n, (t + 1) * grain)); });
}

// Index of the calling compute thread, 0 .. threads-1, for per-thread scratch.
inline int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace zt
