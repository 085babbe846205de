// What a command waits for while jobs run: events of the engine and the signals that stop it (SIGINT, SIGTERM, SIGHUP, and
// SIGUSR1, which Slurm sends ahead of its time limit). Make it before the first thread starts: threads inherit its mask, so that
// the signals are read here alone.
#pragma once

#include <functional>

namespace zt {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  bool ok() const { return signals_ >= 0 && wakeups_ >= 0; }  // false: the system has no descriptors left

  // For the engine: wakes wait() from any thread.
  std::function<void()> wakeup() const;
  // Sleeps until woken, signalled or timed out (milliseconds; negative = never). The number of stop signals that came.
  int wait(int timeout_ms);

 private:
  int signals_, wakeups_;
};

}  // namespace zt
