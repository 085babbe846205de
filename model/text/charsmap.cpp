#include "model/text/charsmap.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "model/io/utf8.h"

namespace zt {
namespace {

enum class Break : uint8_t { other, control, extend };
struct BreakRange {
  uint32_t first, last;
  Break kind;
};
constexpr BreakRange kBreaks[] = {
#include "model/text/graphemes.inc"
};

Break break_of(uint32_t c) {
  auto it =
      std::upper_bound(std::begin(kBreaks), std::end(kBreaks), c, [](uint32_t v, const BreakRange& r) { return v < r.first; });
  if (it == std::begin(kBreaks)) return Break::other;
  --it;
  return c <= it->last ? it->kind : Break::other;
}

// End of the grapheme cluster that starts at i. Rules of UAX 29 for CR LF, controls and marks; those for Hangul, flags,
// emoji sequences, prepended marks and conjuncts are left out: they only join characters into clusters of 6 bytes or more,
// which are looked up one character at a time anyway, or behind characters that no map replaces.
size_t cluster_end(std::string_view text, size_t i) {
  if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') return i + 2;
  Break first = break_of(utf8_at(text, i));
  i += utf8_length(text, i);
  if (first == Break::control) return i;
  while (i < text.size() && break_of(utf8_at(text, i)) == Break::extend) i += utf8_length(text, i);
  return i;
}

constexpr size_t kMaxReplacement = 256;  // NFKC needs 33 bytes at most; bounds what a hostile map can blow a prompt up to
constexpr size_t kWholeCluster = 6;      // clusters shorter than this many bytes are looked up whole

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob) {
  Charsmap map;
  if (blob.empty()) return map;
  uint32_t bytes = 0;
  if (blob.size() < 4) return bad_model("the character map is truncated");
  std::memcpy(&bytes, blob.data(), 4);
  if (bytes % 4 != 0 || bytes == 0 || bytes > blob.size() - 4) return bad_model("the character map has a wrong trie size");
  map.trie_.resize(bytes / 4);
  std::memcpy(map.trie_.data(), blob.data() + 4, bytes);
  map.replacements_ = std::string(blob.substr(4 + bytes));
  if (!map.replacements_.empty() && map.replacements_.back() != '\0') map.replacements_ += '\0';
  for (size_t i = 0; i < map.replacements_.size();) {
    size_t end = map.replacements_.find('\0', i);
    if (end - i > kMaxReplacement) return bad_model("the character map has a replacement of {} bytes", end - i);
    i = end + 1;
  }
  if (first_invalid_utf8(map.replacements_) != std::string_view::npos) return bad_model("the character map is not valid UTF-8");
  return map;
}

bool Charsmap::lookup(std::string_view chunk, std::string_view& replacement) const {
  auto offset = [](uint32_t unit) { return size_t(unit >> 10) << ((unit & (1u << 9)) >> 6); };
  if (trie_.empty()) return false;
  size_t node = offset(trie_[0]);
  for (char c : chunk) {
    uint8_t b = uint8_t(c);
    node ^= b;
    if (b == 0 || node >= trie_.size() || (trie_[node] & 0x800000ffu) != b) return false;
    uint32_t unit = trie_[node];
    node ^= offset(unit);
    if ((unit >> 8 & 1) == 0) continue;
    if (node >= trie_.size()) return false;
    size_t at = trie_[node] & 0x7fffffffu;
    // Only the start of a character can be meant; anything else is a damaged map.
    if (at >= replacements_.size() || (uint8_t(replacements_[at]) & 0xc0) == 0x80) return false;
    replacement = std::string_view(replacements_).substr(at, replacements_.find('\0', at) - at);
    return true;
  }
  return false;
}

std::string Charsmap::normalize(std::string_view text) const {
  std::string out;
  if (trie_.empty()) return std::string(text);
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t end = cluster_end(text, i);
    std::string_view replacement;
    if (end - i < kWholeCluster && lookup(text.substr(i, end - i), replacement)) {
      out += replacement;
      i = end;
      continue;
    }
    while (i < end) {
      size_t n = utf8_length(text, i);
      bool found = lookup(text.substr(i, n), replacement);
      out += found ? replacement : text.substr(i, n);
      i += n;
    }
  }
  return out;
}

}  // namespace zt
