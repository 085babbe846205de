#include "tests/cuda/host/targets.h"

namespace zt::testing {

FullSweep full_sweep() { return {300, 80}; }

}  // namespace zt::testing
