#include "model/text/prompt.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "model/io/utf8.h"

namespace zt {
namespace {

struct Entity {
  std::string_view name, text;
};
constexpr Entity kEntities[] = {
#include "model/text/html_entities.inc"
};

const Entity* find_entity(std::string_view name) {
  auto it = std::lower_bound(std::begin(kEntities), std::end(kEntities), name,
                             [](const Entity& e, std::string_view n) { return e.name < n; });
  return it != std::end(kEntities) && it->name == name ? it : nullptr;
}

// What &#128; .. &#159; mean: windows-1252, as browsers read them.
constexpr std::array<uint16_t, 32> kWindows1252 = {
    0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f,
    0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178};

// Text of a numeric reference (Python's html.unescape).
void append_numeric(std::string& out, uint32_t n) {
  constexpr uint32_t kReplacement = 0xfffd;
  if (n >= 128 && n < 160) return append_utf8(out, kWindows1252[n - 128]);
  if (n == 0 || (n >= 0xd800 && n <= 0xdfff) || n > 0x10ffff) return append_utf8(out, kReplacement);
  bool control = n < 9 || n == 11 || (n >= 14 && n < 32) || n == 127;
  bool no_character = (n >= 0xfdd0 && n <= 0xfdef) || (n & 0xfffe) == 0xfffe;
  if (!control && !no_character) append_utf8(out, n);
}

// Decodes one reference at text[at] == '&'; returns the bytes consumed, 0 when there is none.
size_t decode_reference(std::string_view text, size_t at, std::string& out) {
  size_t i = at + 1;
  if (i < text.size() && text[i] == '#') {
    ++i;
    bool hex = i < text.size() && (text[i] == 'x' || text[i] == 'X');
    if (hex) ++i;
    auto digit = [&](char c) {
      if (c >= '0' && c <= '9') return c - '0';
      if (hex && c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (hex && c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    size_t start = i;
    uint32_t n = 0;
    for (; i < text.size() && digit(text[i]) >= 0; ++i) {
      n = std::min<uint32_t>(n * (hex ? 16 : 10) + uint32_t(digit(text[i])), 0x110000);  // saturates: stays out of range
    }
    if (i == start) return 0;
    append_numeric(out, n);
    return i + (i < text.size() && text[i] == ';') - at;
  }
  // Up to 32 characters that can be part of a name, then perhaps ';'.
  constexpr std::string_view kStop("\t\n\f <&#;");
  std::array<size_t, 33> ends{};  // byte offset behind each character
  size_t characters = 0;
  while (characters < 32 && i < text.size() && kStop.find(text[i]) == std::string_view::npos) {
    i += utf8_length(text, i);
    ends[++characters] = i;
  }
  if (characters == 0) return 0;
  bool closed = i < text.size() && text[i] == ';';
  if (closed) {
    if (const Entity* e = find_entity(text.substr(at + 1, i - at))) {
      out += e->text;
      return i + 1 - at;
    }
  }
  // Otherwise the longest name of at least two characters in front of it, as the standard has it for old names.
  for (size_t n = characters; n >= 1; --n) {
    bool whole = n == characters && !closed;
    if (n < 2 && !whole) break;
    if (const Entity* e = find_entity(text.substr(at + 1, ends[n] - at - 1))) {
      out += e->text;
      return ends[n] - at;
    }
  }
  out.append(text, at, i - at);
  return i - at;
}

std::string decode_entities(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t used = text[i] == '&' ? decode_reference(text, i, out) : 0;
    if (used == 0) out += text[i++];
    i += used;
  }
  return out;
}

// Python's str.isspace, which its regular expressions use for \s.
bool is_space(uint32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  bool pending = false;
  for (size_t i = 0; i < text.size();) {
    size_t n = utf8_length(text, i);
    if (is_space(utf8_at(text, i))) {
      pending = !out.empty();
    } else {
      if (pending) out += ' ';
      pending = false;
      out.append(text, i, n);
    }
    i += n;
  }
  return out;
}

}  // namespace

Result<std::string> clean_prompt(std::string_view text) {
  size_t bad = first_invalid_utf8(text);
  if (bad != std::string_view::npos) return invalid("the prompt is not valid UTF-8 at byte {}", bad);
  size_t nul = text.find('\0');
  if (nul != std::string_view::npos) return invalid("the prompt has a NUL at byte {}", nul);
  return collapse_spaces(decode_entities(decode_entities(text)));
}

}  // namespace zt
