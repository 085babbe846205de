#include "tests/support/cuda_host/memory.h"

#include <cstring>

namespace zt::cuda_host {

constexpr size_t kGap = 64 * 1024;

Allocation& Memory::make(size_t bytes, Access access, std::string name, size_t granule) {
  auto a = std::make_unique<Allocation>();
  a->store.assign(bytes + 2 * kGap + 256, 0xff);
  auto at = reinterpret_cast<uintptr_t>(a->store.data()) + kGap;
  a->data = reinterpret_cast<unsigned char*>((at + 255) / 256 * 256);
  a->bytes = bytes, a->granule = granule, a->access = access, a->name = std::move(name);
  if (access != Access::constant) a->shadow.resize((bytes + granule - 1) / granule);
  auto key = reinterpret_cast<uintptr_t>(a->data);
  return *(all_[key] = std::move(a));
}

void Memory::free(const void* data) { all_.erase(reinterpret_cast<uintptr_t>(data)); }

Allocation* Memory::find(const void* p) const {
  auto at = place(p);
  auto next = all_.upper_bound(at);
  if (next == all_.begin()) return nullptr;
  Allocation* a = std::prev(next)->second.get();
  return at <= reinterpret_cast<uintptr_t>(a->data) + a->bytes ? a : nullptr;
}

}  // namespace zt::cuda_host
