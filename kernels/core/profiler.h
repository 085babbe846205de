// Named timers filled by the thread that drives the model. A null profiler costs one branch.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace zt {

class Profiler {
 public:
  struct Entry {
    double seconds = 0, flops = 0;
    int64_t calls = 0;
  };
  void add(std::string_view zone, double seconds, double flops) {
    Entry& e = entries_[std::string(zone)];
    e.seconds += seconds, e.flops += flops, ++e.calls;
  }
  const std::map<std::string, Entry>& entries() const { return entries_; }
  void clear() { entries_.clear(); }

 private:
  std::map<std::string, Entry> entries_;
};

class ProfileZone {
 public:
  ProfileZone(Profiler* p, std::string_view zone, double flops = 0) : p_(p), zone_(zone), flops_(flops) {
    if (p_) begin_ = Clock::now();
  }
  ~ProfileZone() {
    if (p_) p_->add(zone_, std::chrono::duration<double>(Clock::now() - begin_).count(), flops_);
  }
  ProfileZone(const ProfileZone&) = delete;
  ProfileZone& operator=(const ProfileZone&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  Profiler* p_;
  std::string_view zone_;
  double flops_;
  Clock::time_point begin_;
};

}  // namespace zt
