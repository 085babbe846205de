#include "model/io/utf8.h"

namespace zt {

size_t first_invalid_utf8(std::string_view text) {
  auto tail = [&](size_t i) { return i < text.size() && (uint8_t(text[i]) & 0xc0) == 0x80; };
  size_t i = 0;
  while (i < text.size()) {
    uint8_t b = uint8_t(text[i]), next = i + 1 < text.size() ? uint8_t(text[i + 1]) : 0;
    size_t n = b < 0x80 ? 1 : b >= 0xc2 && b < 0xe0 ? 2 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;
    if (n == 0) return i;
    for (size_t k = 1; k < n; ++k) {
      if (!tail(i + k)) return i;
    }
    bool overlong = (b == 0xe0 && next < 0xa0) || (b == 0xf0 && next < 0x90);
    bool surrogate = b == 0xed && next >= 0xa0, beyond = b == 0xf4 && next >= 0x90;
    if (overlong || surrogate || beyond) return i;
    i += n;
  }
  return std::string_view::npos;
}

void append_utf8(std::string& out, uint32_t u) {
  auto tail = [&](int shift) { out += char(0x80 | (u >> shift & 63)); };
  if (u < 0x80) {
    out += char(u);
  } else if (u < 0x800) {
    out += char(0xc0 | u >> 6), tail(0);
  } else if (u < 0x10000) {
    out += char(0xe0 | u >> 12), tail(6), tail(0);
  } else {
    out += char(0xf0 | u >> 18), tail(12), tail(6), tail(0);
  }
}

}  // namespace zt
