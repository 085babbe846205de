// The second queue of a device: it copies to and from host memory while the first one computes.
#pragma once

#include <cstddef>

#include "kernels/core/status.h"

namespace zt {

class CopyQueue {
 public:
  virtual ~CopyQueue() = default;
  // Queued behind the copies before them. The host's bytes must stay, or are there, when they have been waited for.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  // Each queue goes on when what the other has been given so far is done. The host does not wait.
  virtual void join() = 0;
  // The host waits for the copies so far, and says what went wrong.
  virtual Status wait() = 0;
  // Locks host memory in place, without which a copy from or to it is slow and holds up the host. False: the system will not.
  virtual bool pin(void* p, size_t bytes) = 0;
  virtual void unpin(void* p) = 0;
};

}  // namespace zt
