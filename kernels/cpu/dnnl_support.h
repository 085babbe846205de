// What linear and convolution share in their use of oneDNN: each of its primitives is made for one thread and called
// from our own parallel loops, so the split of the work, and with it every bit of the result, is ours.
#pragma once

#include <dnnl.hpp>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/core/dtype.h"

namespace zt {

inline dnnl::memory::data_type dnnl_type(DType t) {
  return t == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// While it lives, oneDNN plans and runs with one thread in this thread (it asks OpenMP for the number).
class SingleThreaded {
 public:
  SingleThreaded();
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int saved_ = 1;
};

// Scratch buffers for calls without a workspace of their own; each is in use by one call at a time and kept for later
// ones, so the step loop settles without allocating.
class ScratchPool {
 public:
  struct Free {
    void operator()(void* p) const;
  };
  struct Buffer {
    std::unique_ptr<char, Free> data;  // 64-byte aligned
    size_t bytes = 0;
  };
  class Lease {
   public:
    Lease(ScratchPool& pool, Buffer b) : pool_(pool), buffer_(std::move(b)) {}
    ~Lease() { pool_.give_back(std::move(buffer_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    char* data() const { return buffer_.data.get(); }

   private:
    ScratchPool& pool_;
    Buffer buffer_;
  };
  Lease take(size_t bytes);

 private:
  void give_back(Buffer b);
  std::mutex mutex_;
  std::vector<Buffer> idle_;  // guarded by mutex_
};

struct DnnlState {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  ScratchPool scratch;
};

}  // namespace zt
