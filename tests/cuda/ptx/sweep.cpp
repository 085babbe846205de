#include "tests/cuda/host/targets.h"

namespace zt::testing {

FullSweep full_sweep() { return {130, 12}; }

}  // namespace zt::testing
