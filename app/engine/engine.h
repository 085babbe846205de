// The job queue and its one worker; the rest of a job (job_runner.h) runs beside the next one. Commands in by post, events out by
// poll; `wakeup` is the only call upwards. post, poll and snapshot may come from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "app/engine/job_runner.h"

namespace zt {

class Engine {
 public:
  // wakeup: called after an event was queued, from whatever thread queued it, without a lock held. It must not call back.
  // watched: jobs also send previews and attention tables.
  explicit Engine(std::unique_ptr<JobRunner> runner, std::function<void()> wakeup = {}, bool watched = false);
  ~Engine();  // cancels what runs, drops what waits, joins
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Number of the request; 0 for all but submissions.
  uint64_t post(Command command);
  // Oldest event, or nothing. Progress not yet taken is replaced by newer progress of the same request in the same state, a
  // preview by a newer one. Results come in the order of the jobs, save for those cancelled before they started.
  std::optional<Event> poll();
  Snapshot snapshot() const;

 private:
  struct Job {
    uint64_t request = 0;
    JobSpec spec;
    Progress progress;
    std::atomic<bool> cancel{false};
    JobControl control;
  };

  void work();
  // The one place where exceptions end: bugs and exhausted memory fail the job, not the program.
  static JobResult guarded(const Job& job, const std::function<JobResult()>& work);
  void connect(Job& job);  // its control to the events
  void end(const std::shared_ptr<Job>& job, const JobRest& rest);
  bool must_settle(const JobSpec& next) const;  // before the next job looks at its files
  void settle();                                // worker's; waits for the rest that runs
  void publish(Event event);

  std::unique_ptr<JobRunner> runner_;  // used by the worker only
  std::function<void()> wakeup_;
  const bool watched_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Job>> queue_;  // mutex_; waiting jobs
  std::shared_ptr<Job> running_, ending_;   // mutex_; ending_: whose rest is being done
  std::deque<Event> events_;                // mutex_
  uint64_t next_request_ = 1;               // mutex_
  MeasuredHead measured_;                   // mutex_
  bool stopping_ = false;                   // mutex_
  std::thread ender_;  // used by the worker only
  std::thread worker_;
};

}  // namespace zt
