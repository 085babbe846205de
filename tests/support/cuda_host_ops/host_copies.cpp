#include "tests/support/cuda_host_ops/host_copies.h"

#include <algorithm>
#include <cstring>

namespace zt::testing {

bool HostCopies::touched(const Range& r, const void* address) const {
  if (std::any_of(touched_.begin(), touched_.end(), [&](const Range& t) { return meet(t, r); })) return true;
  const cuda_host::Allocation* a = session_.memory().find(address);
  const size_t first = size_t(r.first - a->data) / a->granule, last = size_t(r.second - a->data - 1) / a->granule;
  for (size_t i = first; i <= last; ++i) {
    if (std::max(a->shadow[i].read_launch, a->shadow[i].write_launch) > launches_) return true;
  }
  return false;
}

void HostCopies::start(const Copy& c, const void* address) {
  if (touched(c.there, address)) faults.push_back("a copy meets work of the first queue that may still go on");
  std::memset(c.to, 0xff, c.bytes);
  under_way_.push_back(c);
  order += 'c';
}

void HostCopies::upload(void* to, const void* from, size_t n) {
  unsigned char* target = at_(to, n);
  start({target, from, n, {target, target + n}}, to);
}

void HostCopies::download(void* to, const void* from, size_t n) {
  const unsigned char* source = at_(from, n);
  start({static_cast<unsigned char*>(to), source, n, {source, source + n}}, from);
}

void HostCopies::land() {
  for (const Copy& c : under_way_) std::memcpy(c.to, c.from, c.bytes);
  under_way_.clear();
}

Status HostCopies::wait() {
  land();
  return waited_();
}

void HostCopies::join() {
  if (forget != Forget::work_waits) land();
  if (forget != Forget::copies_wait) touched_.clear(), launches_ = session_.launches();
  order += 'j';
}

bool HostCopies::pin(void* p, size_t) {
  if (locks) pinned_.push_back(p);
  return locks;
}

void HostCopies::unpin(void* p) {
  if (std::erase(pinned_, p) != 1) faults.push_back("unpins what is not pinned");
}

void HostCopies::touch(const unsigned char* p, size_t n) { touched_.push_back({p, p + n}); }

void HostCopies::gone(const unsigned char* p, size_t n) {
  auto needs = [&](const Copy& c) { return meet(c.there, {p, p + n}); };
  if (std::any_of(under_way_.begin(), under_way_.end(), needs)) faults.push_back("memory goes while a copy is under way there");
}

}  // namespace zt::testing
