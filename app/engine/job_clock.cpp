#include "app/engine/job_clock.h"

#include "app/engine/machine.h"

namespace zt {
namespace {

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

}  // namespace

void JobClock::close_state() {
  if (now_.state != JobState::queued) result_.seconds[std::string(state_name(now_.state))] += seconds_since(state_begin_);
  state_begin_ = Clock::now();
}

void JobClock::enter(JobState state, int64_t steps) {
  close_state();
  now_.state = state, now_.steps = steps;
  step(0);
}

void JobClock::step(int64_t step, double density) {
  now_.step = step, now_.density = density;
  now_.elapsed_s = seconds_since(begin_), now_.mem_mb = resident_mb();
  now_.eta_s = step > 0 ? seconds_since(state_begin_) / double(step) * double(now_.steps - step) : -1;
  if (control_.progress) control_.progress(now_);
}

void JobClock::end() {
  close_state();
  result_.seconds["total"] = seconds_since(begin_);
  result_.peak_mb = peak_resident_mb();
}

}  // namespace zt
