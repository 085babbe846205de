// SHA-256 (FIPS 180-4): the identity of plans and plan files, the same on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace zt {

class Sha256 {
 public:
  void add(const void* data, size_t bytes);
  void add(std::string_view text) { add(text.data(), text.size()); }
  // The digest of everything added; the object must not be used afterwards.
  std::array<uint8_t, 32> finish();

 private:
  void block(const uint8_t* p);
  std::array<uint32_t, 8> h_{0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                             0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
  std::array<uint8_t, 64> tail_{};
  size_t in_tail_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace zt
