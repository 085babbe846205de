#include "tests/support/cuda_host/traffic.h"

#include <algorithm>
#include <set>

namespace zt::cuda_host {
namespace {

bool is_global(Port p) { return p == Port::global_load || p == Port::global_store; }

}  // namespace

uint64_t bank_waves(const std::array<uint64_t, 32>& address, uint32_t lanes, uint32_t bytes) {
  // Units that a bank serves whole: words, or for 8 and 16 bytes two and four of them side by side.
  uint32_t unit = std::max(bytes, 4u), group = 128 / unit, slots = 128 / unit;
  uint64_t waves = 0;
  for (uint32_t first = 0; first < 32; first += group) {
    uint64_t seen[32];
    uint8_t uses[32] = {};
    uint32_t count = 0;
    uint64_t most = 0;
    for (uint32_t lane = first; lane < std::min(first + group, 32u); ++lane) {
      if (!(lanes >> lane & 1)) continue;
      uint64_t at = address[lane] / unit;
      if (std::find(seen, seen + count, at) != seen + count) continue;
      seen[count++] = at;
      most = std::max<uint64_t>(most, ++uses[at % slots]);
    }
    waves += most;
  }
  return waves;
}

void Traffic::note(Port port, const Where& at, uint32_t warp, uint32_t lane, uint64_t address, uint32_t bytes) {
  Open& o = open_[{{port, at.file, at.line, at.column}, warp}];
  o.where = at;
  uint32_t n = o.seen[lane]++;
  if (o.visits.size() <= n) o.visits.resize(n + 1);
  Visit& v = o.visits[n];
  v.address[lane] = address, v.lanes |= 1u << lane, v.bytes = bytes;
}

void Traffic::add(Port port, const Where& at, uint64_t units, uint64_t least) {
  auto s = std::find_if(sites_.begin(), sites_.end(), [&](const SiteTraffic& x) { return x.port == port && x.where == at; });
  if (s == sites_.end()) s = sites_.insert(s, {port, at});
  ++s->warps, s->units += units, s->least += least;
}

void Traffic::end_block() {
  for (const auto& [key, o] : open_) {
    Port port = std::get<0>(key.first);
    for (const Visit& v : o.visits) {
      uint64_t bytes = uint64_t(__builtin_popcount(v.lanes)) * v.bytes;
      if (is_global(port)) {
        std::set<uint64_t> sectors;
        for (uint32_t lane = 0; lane < 32; ++lane) {
          if (v.lanes >> lane & 1) sectors.insert(v.address[lane] / 32);
        }
        add(port, o.where, sectors.size(), (bytes + 31) / 32);
      } else {
        add(port, o.where, bank_waves(v.address, v.lanes, v.bytes), (bytes + 127) / 128);
      }
    }
  }
  open_.clear();
}

SiteTraffic Traffic::total(Port port) const {
  SiteTraffic t;
  t.port = port;
  for (const SiteTraffic& s : sites_) {
    if (s.port == port) t.warps += s.warps, t.units += s.units, t.least += s.least;
  }
  return t;
}

}  // namespace zt::cuda_host
