#include "app/headless/read_grid.h"

#include <cstdio>

namespace zt {

Result<Grid> read_grid(const std::string& text) {
  Grid g;
  int end = 0;
  // Widths keep every number inside int64.
  if (std::sscanf(text.c_str(), "%9ldx%9ldx%9ld%n", &g.t, &g.h, &g.w, &end) != 3 || size_t(end) != text.size() || g.t < 1 ||
      g.h < 1 || g.w < 1) {
    return invalid("--grid {}: expected TxHxW, each at least 1, such as 21x30x52", text.substr(0, 40));
  }
  return g;
}

}  // namespace zt
