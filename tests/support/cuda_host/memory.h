// Global memory of host execution: allocations that know their bounds, what may be done with them, and who touched what.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/cuda_host/fault.h"
#include "tests/support/cuda_host/shadow.h"

namespace zt::cuda_host {

enum class Access : uint8_t {
  constant,  // no kernel writes it
  once,      // each element is written at most once a launch, and never read by another block then
  free       // the writing block may write again
};

// Of two bytes, or of one.
struct GlobalShadow {
  Shadow block;  // within the block that touched it last
  uint32_t write_launch = 0, write_block = 0, read_launch = 0, read_block = 0;
  bool several_blocks = false, atomic = false;
};

struct Allocation {
  unsigned char* data = nullptr;
  size_t bytes = 0, granule = 2;
  Access access = Access::once;
  std::string name;
  std::vector<unsigned char> store;  // with gaps before and behind, so that a far overrun meets no neighbour
  std::vector<GlobalShadow> shadow;
};

class Memory {
 public:
  // Filled with 0xff bytes: not a number in any float type. 256-byte aligned, as device memory is.
  Allocation& make(size_t bytes, Access access, std::string name, size_t granule = 2);
  void free(const void* data);
  // The allocation an address lies in, or just behind; null if none.
  Allocation* find(const void* p) const;
  // Whoever hands addresses to a program may displace them by this much, to where nothing is: host code that touches device
  // memory then ends at once.
  uintptr_t displaced = 0;
  uintptr_t place(const void* p) const { return reinterpret_cast<uintptr_t>(p) - displaced; }

 private:
  std::map<uintptr_t, std::unique_ptr<Allocation>> all_;
};

}  // namespace zt::cuda_host
