// What linear and convolution share in their use of oneDNN: each of its primitives is made for one thread and called
// from our own parallel loops, so the split of the work, and with it every bit of the result, is ours.
#pragma once

#include <array>
#include <dnnl.hpp>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/api/exec_context.h"

namespace zt {

inline dnnl::memory::data_type dnnl_type(DType t) {
  return t == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// bf16 dot products, within the cap of the context and the one the library was given.
bool has_bf16(const ExecContext& ctx);

inline size_t align64(size_t n) { return (n + 63) / 64 * 64; }

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

// The primitives one call may use (full pieces, tails) and oneDNN's handles on their buffers. A call borrows one set of
// handles a thread: making them anew for each piece would cost as much as a small product.
class PrimitiveSet {
 public:
  static constexpr size_t kKinds = 4;
  struct Buffers {
    void *src, *dst, *library;
  };

  // library_bytes: scratch oneDNN wants for it.
  void add(size_t kind, const dnnl::primitive& p, const dnnl::memory::desc& src, const dnnl::memory::desc& dst,
           size_t library_bytes);
  bool has(size_t kind) const { return bool(primitives_[kind]); }
  size_t library_bytes() const { return library_bytes_; }

  class Thread {
   public:
    Thread(const PrimitiveSet& set, const dnnl::engine& engine);
    void run(size_t kind, const Buffers& buffers, const dnnl::memory& weights, const dnnl::memory& bias);

   private:
    const PrimitiveSet* set_;
    std::array<dnnl::memory, kKinds> src_, dst_;
    dnnl::memory library_;
    dnnl::stream stream_;
  };
  using Threads = std::vector<Thread>;
  class Lease {
   public:
    Lease(const PrimitiveSet& set, std::unique_ptr<Threads> threads) : set_(set), threads_(std::move(threads)) {}
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Thread& operator[](size_t i) const { return (*threads_)[i]; }

   private:
    const PrimitiveSet& set_;
    std::unique_ptr<Threads> threads_;
  };
  Lease borrow(const dnnl::engine& engine, int threads) const;

 private:
  std::array<dnnl::primitive, kKinds> primitives_;
  std::array<dnnl::memory::desc, kKinds> src_, dst_;
  size_t library_bytes_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Threads>> idle_;  // guarded by mutex_
};

struct DnnlState {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  ScratchPool scratch;
};

}  // namespace zt
