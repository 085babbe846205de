#include "app/session/text.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace zt {

std::optional<size_t> invalid_utf8_at(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto byte = [&](size_t k) { return i + k < text.size() ? uint8_t(text[i + k]) : uint8_t(0); };
    uint8_t first = byte(0);
    int more = first < 0x80                    ? 0
               : first >= 0xc2 && first < 0xe0 ? 1
               : first >= 0xe0 && first < 0xf0 ? 2
               : first >= 0xf0 && first < 0xf5 ? 3
                                               : -1;
    if (more < 0) return i;
    for (int k = 1; k <= more; ++k) {
      if ((byte(size_t(k)) & 0xc0) != 0x80) return i;
    }
    uint8_t second = byte(1);
    bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool outside = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
    if (overlong || outside) return i;
    i += size_t(more) + 1;
  }
  return std::nullopt;
}

std::string quotable_text(std::string_view text, size_t bytes) {
  bool cut = text.size() > bytes;
  while (cut && bytes > 0 && (uint8_t(text[bytes]) & 0xc0) == 0x80) --bytes;
  std::string out(text.substr(0, bytes));
  for (char& c : out) {
    if (uint8_t(c) < 0x20 || c == 0x7f) c = '?';
  }
  return cut ? out + "..." : out;
}

namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string closest_name(std::string_view name, const std::vector<std::string>& known) {
  constexpr size_t kLongest = 64;  // no known name is longer; bounds the work on hostile input
  if (name.size() > kLongest) return {};
  std::string best;
  size_t best_distance = SIZE_MAX;
  for (const std::string& k : known) {
    size_t d = edit_distance(name, k);
    if (d < best_distance) best_distance = d, best = k;
  }
  return best_distance * 2 <= std::max(name.size(), best.size()) ? best : std::string();
}

}  // namespace zt
