#include "app/headless/number_list.h"

#include <charconv>

namespace zt {

Result<std::set<int64_t>> read_numbers(std::string_view flag, const std::string& text) {
  constexpr int64_t kMost = 100000;
  std::set<int64_t> out;
  const char *at = text.data(), *end = at + text.size();
  auto number = [&](int64_t& n) {
    auto [next, error] = std::from_chars(at, end, n);
    if (error != std::errc() || n < 0 || n > kMost) return false;
    at = next;
    return true;
  };
  while (at < end) {
    int64_t first = 0, last = 0;
    bool good = number(first);
    last = first;
    if (good && at < end && *at == '-') ++at, good = number(last) && last >= first;
    if (good && at < end) good = *at == ',' && at + 1 < end, ++at;
    if (!good) return invalid("{}: `{}` is not a list of numbers such as 0,3-5", flag, text.substr(0, 40));
    for (int64_t n = first; n <= last; ++n) out.insert(n);
  }
  return out;
}

}  // namespace zt
