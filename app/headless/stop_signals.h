// Turns stop signals into cancels: the first stops the engine's jobs, one more the process.
#pragma once

#include <functional>
#include <string_view>

#include "app/engine/engine.h"
#include "app/headless/event_loop.h"

namespace zt {

class StopSignals {
 public:
  // say: receives one line for the user.
  StopSignals(EventLoop& loop, Engine& engine, std::function<void(std::string_view)> say)
      : loop_(loop), engine_(engine), say_(std::move(say)) {}
  // As EventLoop::wait; acts on the signals that came.
  void wait(int timeout_ms);
  bool stopping() const { return stopping_; }

 private:
  EventLoop& loop_;
  Engine& engine_;
  std::function<void(std::string_view)> say_;
  bool stopping_ = false;
};

}  // namespace zt
