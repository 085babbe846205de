// COUNT [SEED]: mutations of the target's seeds, the same ones in every run.
#include <cstdio>

#include "tests/fuzz/fuzz.h"
#include "tests/support/testing.h"

namespace {

using zt::testing::Random;

size_t below(Random& r, size_t n) { return size_t(r.below(int64_t(n))); }

// Numbers and marks that readers stumble over.
constexpr std::string_view kTokens[] = {"-1", "0", "4294967296", "9223372036854775807", "18446744073709551615", "1e999", "nan", "\"", "{", "}",
                                        "[",  "]", "\\u0000", "\n", ",", "../", "\xff", "\xf0\x9f", "null", "true"};

std::string mutate(std::string s, const std::vector<std::string>& seeds, Random& r) {
  constexpr size_t kLongest = size_t(1) << 16;
  for (size_t n = 1 + below(r, 6); n > 0; --n) {
    size_t at = s.empty() ? 0 : below(r, s.size()), length = s.empty() ? 0 : std::min(1 + below(r, 32), s.size() - at);
    switch (below(r, 9)) {
      case 0: if (!s.empty()) s[at] = char(s[at] ^ (1 << below(r, 8))); break;
      case 1: if (!s.empty()) s[at] = char(r.bits()); break;
      case 2: s.insert(at, 1, char(r.bits())); break;
      case 3: s.erase(at, length); break;
      case 4: s.insert(at, s.substr(at, length)); break;
      case 5: s.insert(at, kTokens[below(r, std::size(kTokens))]); break;
      case 6: s.replace(at, length, kTokens[below(r, std::size(kTokens))]); break;
      case 7: s.resize(at); break;
      default: {
        const std::string& other = seeds[below(r, seeds.size())];
        if (!other.empty()) s = s.substr(0, at) + other.substr(below(r, other.size()));
      }
    }
    if (s.size() > kLongest) s.resize(kLongest);
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  long count = argc > 1 ? std::atol(argv[1]) : 10000;
  Random random(argc > 2 ? uint64_t(std::atoll(argv[2])) : 1);
  const std::vector<std::string> seeds = zt::fuzz::seeds();
  for (const std::string& s : seeds) zt::fuzz::one(s);
  for (long i = 0; i < count; ++i) zt::fuzz::one(mutate(seeds[below(random, seeds.size())], seeds, random));
  std::printf("%ld inputs from %zu seeds, no finding\n", count, seeds.size());
  return 0;
}
