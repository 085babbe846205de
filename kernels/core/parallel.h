// Compute threads are OpenMP. Work is cut into tasks by shape only, never by thread count, so results are
// bit-equal for every number of threads. fn must not throw.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <thread>

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

// Until another compute thread has done what `ready` asks for. Short waits spin.
template <class P>
void wait_until(P&& ready) {
  for (int spins = 0; !ready(); ++spins) {
    if (spins > 1000) std::this_thread::yield();
  }
}

// fn(stage, i) for i in [0, tasks[stage]) of one stage after the other, taken in order as threads become free, without a
// barrier between stages. A task that builds on earlier ones waits for them itself (wait_until): tasks are taken in order, so
// the oldest unfinished ones always run, and none waits for ever.
template <class F>
void parallel_stages(int threads, std::span<const int64_t> tasks, F&& fn) {
#ifdef _OPENMP
  if (threads > 1) {
    std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(threads)
    {
      size_t s = 0;
      int64_t begin = 0;
      for (int64_t task = next++;; task = next++) {
        while (s < tasks.size() && task >= begin + tasks[s]) begin += tasks[s++];
        if (s == tasks.size()) break;
        fn(s, task - begin);
      }
    }
    return;
  }
#endif
  (void)threads;
  for (size_t s = 0; s < tasks.size(); ++s) {
    for (int64_t i = 0; i < tasks[s]; ++i) fn(s, i);
  }
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
