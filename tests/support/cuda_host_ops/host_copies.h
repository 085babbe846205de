// The copy queue of host execution. The first queue does its work at once; what order it leaves open is chosen against the
// program: a copy lands as late as it may, at the join or the wait behind it, and its target holds no numbers until then. A copy
// to or from where the first queue has been at work since the last join is a fault, since on a card that work may still go on.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/copy_queue.h"
#include "tests/support/cuda_host/session.h"

namespace zt::testing {

class HostCopies final : public CopyQueue {
 public:
  // at: the host's bytes behind a device address, checked. waited: what a call that waits says.
  using At = std::function<unsigned char*(const void*, size_t)>;
  HostCopies(cuda_host::Session& session, At at, std::function<Status()> waited)
      : session_(session), at_(std::move(at)), waited_(std::move(waited)) {}

  // What a join leaves out, so that a test can see that its absence is found.
  enum class Forget : uint8_t { nothing, work_waits, copies_wait } forget = Forget::nothing;
  bool locks = true;                // what pin answers
  std::vector<std::string> faults;  // found so far
  // What happened, in order: c a copy, j a join, w work of the first queue, one letter for many.
  std::string order;

  void upload(void* to, const void* from, size_t n) override;
  void download(void* to, const void* from, size_t n) override;
  void join() override;
  Status wait() override;
  bool pin(void* p, size_t n) override;
  void unpin(void* p) override;

  // The first queue reads or writes these bytes; kernels are known by their shadows.
  void touch(const unsigned char* p, size_t n);
  // Memory that is given back.
  void gone(const unsigned char* p, size_t n);
  size_t pinned() const { return pinned_.size(); }

 private:
  using Range = std::pair<const unsigned char*, const unsigned char*>;
  struct Copy {
    unsigned char* to;
    const void* from;
    size_t bytes;
    Range there;  // on the device
  };
  void start(const Copy& c, const void* address);
  void land();
  static bool meet(const Range& a, const Range& b) { return a.first < b.second && b.first < a.second; }
  bool touched(const Range& r, const void* address) const;

  cuda_host::Session& session_;
  At at_;
  std::function<Status()> waited_;
  std::vector<Copy> under_way_;
  std::vector<Range> touched_;  // since the last join
  uint32_t launches_ = 0;       // until then
  std::vector<void*> pinned_;
};

}  // namespace zt::testing
