// UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace zt {

// Offset of the first byte that is not valid UTF-8, or npos.
size_t first_invalid_utf8(std::string_view text);

// Length of the character at text[i]; text must be valid UTF-8 and i the start of a character.
inline size_t utf8_length(std::string_view text, size_t i) {
  uint8_t b = uint8_t(text[i]);
  return b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

// Code point of the character at text[i], under the same conditions.
inline uint32_t utf8_at(std::string_view text, size_t i) {
  auto b = [&](size_t k) { return uint32_t(uint8_t(text[i + k])); };
  switch (utf8_length(text, i)) {
    case 1: return b(0);
    case 2: return (b(0) & 31) << 6 | (b(1) & 63);
    case 3: return (b(0) & 15) << 12 | (b(1) & 63) << 6 | (b(2) & 63);
    default: return (b(0) & 7) << 18 | (b(1) & 63) << 12 | (b(2) & 63) << 6 | (b(3) & 63);
  }
}

void append_utf8(std::string& out, uint32_t code_point);

}  // namespace zt
