#include "app/engine/process.h"

#include <malloc.h>
#include <unistd.h>

#include <cstdlib>

#include "app/media/av.h"

namespace zt {

void restart_with_short_spins(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "1000", 1);
  execv("/proc/self/exe", argv);
}

void give_memory_back() {
  constexpr int kOwnMapping = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kOwnMapping);
}

void quiet_libraries() { quiet_ffmpeg(); }

}  // namespace zt
