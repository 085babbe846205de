// What host execution reports: the first access or meeting of threads that a GPU would not promise to serve as meant.
#pragma once

#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace zt::cuda_host {

enum class FaultKind : uint8_t {
  uninit,         // shared memory read that nobody wrote
  race,           // two threads, at least one writes, and no barrier between them
  in_flight,      // touched before the copy has been waited for, or never waited for
  smem_bounds,    // outside the block's shared memory
  align,          // not naturally aligned
  global_bounds,  // outside the allocation the pointer belongs to
  global_write,   // an element written twice in a launch, or by two blocks, or read by another one; a write to constant data
  divergence,     // lanes of a warp, or warps of a block, that meet at different places
  deadlock,       // nobody can go on
  launch          // a launch no device would take
};
std::string_view fault_name(FaultKind k);

// A place in a kernel.
struct Where {
  const char* file = "";
  uint32_t line = 0, column = 0;
  Where() = default;
  Where(const std::source_location& l) : file(l.file_name()), line(l.line()), column(l.column()) {}  // NOLINT: implicit by design
  bool operator==(const Where& o) const {
    return line == o.line && column == o.column && (file == o.file || std::string_view(file) == o.file);
  }
  std::string str() const;  // "forward.cuh:71"
};

class Fault : public std::runtime_error {
 public:
  Fault(FaultKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  FaultKind kind() const { return kind_; }

 private:
  FaultKind kind_;
};

}  // namespace zt::cuda_host
