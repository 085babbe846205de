// Works through a batch: claims jobs, gives them to engines, shows what comes of them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "app/engine/engine.h"
#include "app/headless/batch_view.h"
#include "app/headless/event_loop.h"
#include "app/headless/stop_signals.h"

namespace zt {

class BatchRun {
 public:
  // As many jobs at a time as there are runners. threads: for all of them together, where a job does not name its own.
  BatchRun(Batch& batch, BatchView& view, EventLoop& loop, std::vector<std::unique_ptr<JobRunner>> runners, int64_t threads);
  int work();  // the exit code

 private:
  struct Lane {
    std::unique_ptr<Engine> engine;
    std::map<uint64_t, BatchItem*> jobs;  // by request, those the engine has
    uint64_t computing = 0;               // the request that has the lane's threads; 0 = they are free
  };

  Status start_jobs();
  int64_t at_work() const;  // jobs that compute
  int64_t threads_for_next() const;
  void show_events(Lane& lane);
  void show_found();

  Batch& batch_;
  BatchView& view_;
  const int64_t threads_;
  std::vector<Lane> lanes_;
  StopSignals signals_;
  std::set<size_t> known_;
};

}  // namespace zt
