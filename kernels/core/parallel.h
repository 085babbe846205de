// Compute threads are OpenMP. Work is cut into tasks by shape only, never by thread count, so results are
// bit-equal for every number of threads. fn must not throw.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
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

// One of several kinds of work in a row: it begins when an earlier stage is done.
struct Stage {
  int64_t tasks = 0;
  int after = -1;  // index of that stage; -1 = at once
};

// fn(stage, i) for i in [0, tasks) of every stage, taken in order as threads become free, without a barrier between stages:
// a thread waits only where the stage that its task comes after is still running elsewhere. Tasks are taken in order, so the
// oldest unfinished ones always run, and none waits for ever.
template <class F>
void parallel_stages(int threads, std::span<const Stage> stages, F&& fn) {
#ifdef _OPENMP
  if (threads > 1) {
    auto done = std::make_unique<std::atomic<int64_t>[]>(stages.size());
    std::atomic<int64_t> next{0};
    auto finished = [&](int stage) {
      // A stage without tasks is done when the one before it is.
      while (stage >= 0 && stages[size_t(stage)].tasks == 0) stage = stages[size_t(stage)].after;
      return stage < 0 || done[size_t(stage)].load(std::memory_order_acquire) == stages[size_t(stage)].tasks;
    };
#pragma omp parallel num_threads(threads)
    {
      size_t s = 0;
      int64_t begin = 0;
      for (int64_t task = next++;; task = next++) {
        while (s < stages.size() && task >= begin + stages[s].tasks) begin += stages[s++].tasks;
        if (s == stages.size()) break;
        for (int spins = 0; !finished(stages[s].after); ++spins) {
          if (spins > 1000) std::this_thread::yield();
        }
        fn(s, task - begin);
        done[s].fetch_add(1, std::memory_order_release);
      }
    }
    return;
  }
#endif
  (void)threads;
  for (size_t s = 0; s < stages.size(); ++s) {
    for (int64_t i = 0; i < stages[s].tasks; ++i) fn(s, i);
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
