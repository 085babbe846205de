// What moving data costs on a device: passes over the banks of shared memory, and 32-byte sectors of global memory. Lanes meet
// only at warp words; their own loads and stores are paired by place and by how often each lane has been there.
#pragma once

#include <array>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/cuda_host/fault.h"

namespace zt::cuda_host {

enum class Port : uint8_t { matrix, shared_load, shared_store, copy_store, global_load, global_store, product };

struct SiteTraffic {
  Port port = Port::matrix;
  Where where;
  uint64_t warps = 0;     // times a warp was here
  uint64_t units = 0;     // waves, or sectors, or products of a warp (mma)
  uint64_t least = 0;     // what that many bytes take at best
};

class Traffic {
 public:
  // Of the running block.
  void note(Port port, const Where& at, uint32_t warp, uint32_t lane, uint64_t address, uint32_t bytes);
  void end_block();
  // Of a matrix load or product: known at once.
  void add(Port port, const Where& at, uint64_t units, uint64_t least);

  const std::vector<SiteTraffic>& sites() const { return sites_; }
  // Over all places of a port.
  SiteTraffic total(Port port) const;

 private:
  struct Visit {
    std::array<uint64_t, 32> address{};
    uint32_t lanes = 0, bytes = 0;
  };
  using Site = std::tuple<Port, const char*, uint32_t, uint32_t>;
  struct Open {
    Where where;
    std::array<uint32_t, 32> seen{};
    std::vector<Visit> visits;
  };
  std::map<std::pair<Site, uint32_t>, Open> open_;  // by warp
  std::vector<SiteTraffic> sites_;
};

// Waves of a load or store of `bytes` a lane by the lanes of the mask: at most 128 bytes are served at a time, lane after lane.
uint64_t bank_waves(const std::array<uint64_t, 32>& address, uint32_t lanes, uint32_t bytes);

}  // namespace zt::cuda_host
