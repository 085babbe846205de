#include <cstring>
#include <initializer_list>

#include "app/engine/process.h"
#include "app/headless/command_line.h"

namespace {

// True for what computes: the rest is done before a second start would be.
bool computes(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  for (const char* quick : {"policies", "models", "plan"}) {
    if (std::strcmp(argv[1], quick) == 0) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (computes(argc, argv)) zt::restart_with_short_spins(argv);
  zt::give_memory_back();
  return zt::run_command_line(argc, argv);
}
