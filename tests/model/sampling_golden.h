// What the sampling tests share: golden files and the hash they use.
#pragma once

#include <bit>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "tests/support/testing.h"

namespace zt::testing {

inline nlohmann::json read_golden(const std::string& name) {
  std::ifstream file(std::string(ZT_SOURCE_DIR) + "/tests/golden/" + name);
  EXPECT_TRUE(file.good()) << name;
  return nlohmann::json::parse(file);
}

// FNV-1a over the bits of float32 values, a word at a time, as the golden generators write it.
inline std::string fnv(std::span<const float> values) {
  uint64_t h = 0xcbf29ce484222325u;
  for (float v : values) h = (h ^ std::bit_cast<uint32_t>(v)) * 0x100000001b3u;
  return fmt::format("{:016x}", h);
}

}  // namespace zt::testing
