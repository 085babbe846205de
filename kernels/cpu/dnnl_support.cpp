#include "kernels/cpu/dnnl_support.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace zt {

#ifdef _OPENMP
SingleThreaded::SingleThreaded() : saved_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleThreaded::~SingleThreaded() { omp_set_num_threads(saved_); }
#else
SingleThreaded::SingleThreaded() = default;
SingleThreaded::~SingleThreaded() = default;
#endif

bool has_bf16(const ExecContext& ctx) {
  auto isa = dnnl::get_effective_cpu_isa();
  bool library = isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx || isa == dnnl::cpu_isa::all;
  return ctx.isa >= Isa::avx512_bf16 && library;
}

void ScratchPool::Free::operator()(void* p) const { std::free(p); }

ScratchPool::Lease ScratchPool::take(size_t bytes) {
  {
    std::lock_guard lock(mutex_);
    auto fits = std::find_if(idle_.begin(), idle_.end(), [&](const Buffer& b) { return b.bytes >= bytes; });
    if (fits != idle_.end()) {
      Buffer b = std::move(*fits);
      idle_.erase(fits);
      return Lease(*this, std::move(b));
    }
    if (!idle_.empty()) idle_.pop_back();  // too small: replaced by the one made below
  }
  size_t size = (bytes + 4095) / 4096 * 4096;
  Buffer b{std::unique_ptr<char, Free>(static_cast<char*>(std::aligned_alloc(4096, size))), size};
  if (!b.data) throw std::bad_alloc();
  return Lease(*this, std::move(b));
}

void ScratchPool::give_back(Buffer b) {
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(b));
}

void PrimitiveSet::add(size_t kind, const dnnl::primitive& p, const dnnl::memory::desc& src, const dnnl::memory::desc& dst,
                       size_t library_bytes) {
  primitives_[kind] = p, src_[kind] = src, dst_[kind] = dst;
  library_bytes_ = std::max(library_bytes_, library_bytes);
}

PrimitiveSet::Thread::Thread(const PrimitiveSet& set, const dnnl::engine& engine)
    : set_(&set),
      library_({{int64_t(set.library_bytes_)}, dnnl::memory::data_type::u8, dnnl::memory::format_tag::a}, engine,
               DNNL_MEMORY_NONE),
      stream_(engine) {
  for (size_t i = 0; i < kKinds; ++i) {
    if (!set.has(i)) continue;
    src_[i] = dnnl::memory(set.src_[i], engine, DNNL_MEMORY_NONE);
    dst_[i] = dnnl::memory(set.dst_[i], engine, DNNL_MEMORY_NONE);
  }
}

void PrimitiveSet::Thread::run(size_t kind, const Buffers& buffers, const dnnl::memory& weights, const dnnl::memory& bias) {
  src_[kind].set_data_handle(buffers.src);
  dst_[kind].set_data_handle(buffers.dst);
  library_.set_data_handle(buffers.library);
  // The C entry: the C++ one builds a hash table for each call.
  dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, src_[kind].get()},
                            {DNNL_ARG_WEIGHTS, weights.get()},
                            {DNNL_ARG_BIAS, bias.get()},
                            {DNNL_ARG_DST, dst_[kind].get()},
                            {DNNL_ARG_SCRATCHPAD, library_.get()}};
  // Shapes and types were settled when the primitive was made; what is left to fail is a bug here.
  if (dnnl_primitive_execute(set_->primitives_[kind].get(), stream_.get(), 5, args) != dnnl_success) std::terminate();
}

PrimitiveSet::Lease PrimitiveSet::borrow(const dnnl::engine& engine, int threads) const {
  std::unique_ptr<Threads> t;
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) t = std::move(idle_.back()), idle_.pop_back();
  }
  if (!t) t = std::make_unique<Threads>();
  while (t->size() < size_t(threads)) t->emplace_back(*this, engine);
  return Lease(*this, std::move(t));
}

PrimitiveSet::Lease::~Lease() {
  std::lock_guard lock(set_.mutex_);
  set_.idle_.push_back(std::move(threads_));
}

}  // namespace zt
