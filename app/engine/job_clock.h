// Where a job is and how long it has been there: makes the progress events and the times of the result.
#pragma once

#include <chrono>

#include "app/engine/job_runner.h"

namespace zt {

class JobClock {
 public:
  JobClock(const JobControl& control, JobResult& result) : control_(control), result_(result) {}
  // Enters a state of `steps` countable steps (0 = not countable) and says so.
  void enter(JobState state, int64_t steps = 0);
  // `step` steps of this state are done; density is of the step that just ended.
  void step(int64_t step, double density = 1);
  // Closes the books: times of the last state and of the whole. Once more counts on from there.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  void close_state();
  const JobControl& control_;
  JobResult& result_;
  Progress now_;
  Clock::time_point begin_ = Clock::now(), state_begin_ = begin_;
};

}  // namespace zt
