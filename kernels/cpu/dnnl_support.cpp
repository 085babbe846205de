#include "kernels/cpu/dnnl_support.h"

#include <algorithm>
#include <cstdlib>
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

}  // namespace zt
