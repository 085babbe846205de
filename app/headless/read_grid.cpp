#include "app/headless/read_grid.h"

#include <charconv>

namespace zt {
namespace {

// The product of two sides fits 64 bits.
constexpr int64_t kMaxSide = 999999999;

bool read_side(const char*& at, const char* end, int64_t& side) {
  auto r = std::from_chars(at, end, side);
  at = r.ptr;
  return r.ec == std::errc() && side >= 1 && side <= kMaxSide;
}

}  // namespace

Result<Grid> read_grid(const std::string& text) {
  Grid g;
  const char *at = text.data(), *end = at + text.size();
  bool ok = read_side(at, end, g.t) && at < end && *at++ == 'x' && read_side(at, end, g.h) && at < end && *at++ == 'x' &&
            read_side(at, end, g.w) && at == end;
  if (!ok) return invalid("--grid {}: expected TxHxW, each at least 1, such as 21x30x52", text.substr(0, 40));
  return g;
}

}  // namespace zt
