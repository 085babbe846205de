// Where an arena's bytes live and how values get in and out of there. Host memory needs none of this: an arena without a
// Memory is host memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/status.h"

namespace zt {

enum class Device : uint8_t { cpu, cuda };

class CopyQueue;

// Work on a device is queued; every call below takes its place in the queue. An error of earlier work shows at the next call
// that waits (kDeviceLost); from then on the device is not usable.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual Device device() const = 0;
  // 256-byte aligned; null when there is none left.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* p, size_t bytes) = 0;
  virtual Status fill(void* to, uint8_t value, size_t bytes) = 0;
  // The host's bytes may be reused when these return. download waits for all work before it.
  virtual Status upload(void* to, const void* from, size_t bytes) = 0;
  virtual Status download(void* to, const void* from, size_t bytes) = 0;
  virtual Status wait() = 0;
  // A second queue, for copies beside the work (copy_queue.h); null: there is none.
  virtual CopyQueue* copies() { return nullptr; }
};

}  // namespace zt
