#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "app/headless/command_line.h"

namespace {

// Compute threads that wait for each other spin by default for milliseconds. On a machine with other work a sibling that
// lost its core makes all others burn theirs: a render took ten times as long. A short spin costs nothing on a quiet
// machine. The OpenMP runtime reads this when it is loaded, before main, so the program starts itself once more.
void restart_with_short_spins(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-' || std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  for (const char* quick : {"policies", "models", "plan"}) {
    if (std::strcmp(argv[1], quick) == 0) return;
  }
  setenv("GOMP_SPINCOUNT", "1000", 1);
  execv("/proc/self/exe", argv);  // where it cannot, the render is only slower
}

}  // namespace

int main(int argc, char** argv) {
  restart_with_short_spins(argc, argv);
  return zt::run_command_line(argc, argv);
}
