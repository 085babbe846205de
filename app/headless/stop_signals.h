// Turns stop signals into cancels: the first stops the jobs of the engines, one more the process.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "app/engine/engine.h"
#include "app/headless/event_loop.h"

namespace zt {

class StopSignals {
 public:
  // say: receives one line for the user.
  StopSignals(EventLoop& loop, std::function<void(std::string_view)> say) : loop_(loop), say_(std::move(say)) {}
  void stop(Engine& engine) { engines_.push_back(&engine); }  // this one, too; it must stay
  // As EventLoop::wait; acts on the signals that came.
  void wait(int timeout_ms);
  bool stopping() const { return stopping_; }

 private:
  EventLoop& loop_;
  std::vector<Engine*> engines_;
  std::function<void(std::string_view)> say_;
  bool stopping_ = false;
};

}  // namespace zt
