// The promise to whoever hands the readers a file: nothing above 64 MiB is allocated before it is refused.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace zt::testing {

// While it lives, the process may map that much more than it has; an allocation beyond throws std::bad_alloc and fails the test.
// Not under sanitizers, whose own address space has no such bounds.
class MemoryLimit {
 public:
  explicit MemoryLimit([[maybe_unused]] size_t bytes = size_t(64) << 20) {
    getrlimit(RLIMIT_AS, &old_);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit = old_;
    limit.rlim_cur = rlim_t(pages * size_t(sysconf(_SC_PAGESIZE)) + bytes);
    setrlimit(RLIMIT_AS, &limit);
#endif
  }
  ~MemoryLimit() { setrlimit(RLIMIT_AS, &old_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  rlimit old_{};
};

}  // namespace zt::testing
