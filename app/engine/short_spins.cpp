#include "app/engine/short_spins.h"

#include <unistd.h>

#include <cstdlib>

namespace zt {

void restart_with_short_spins(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "1000", 1);
  execv("/proc/self/exe", argv);
}

}  // namespace zt
