// Tiles that fill their blocks: token grids rarely divide by powers of two, and a padded tile costs its padding twice.
#pragma once

#include "kernels/plan/plan_window.h"

namespace zt {

// The tile of at most `block` tokens for a grid. Among tiles that divide every side, the fullest is found, then of those at
// least 90% as full the most compact is taken: smallest t + h + w, then the most tokens, then the smallest t, then the smallest
// h. Where even the fullest fills less than half a block (a side is prime, say), tiles may be clipped at the edges, and the
// same rule holds for their mean fill.
Thw exact_tile(const Grid& grid, int64_t block);

}  // namespace zt
