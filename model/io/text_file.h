// Small text and JSON files of a model folder, with limits that hold before anything is allocated.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>
#include <string_view>

#include "kernels/core/status.h"

namespace zt {

// Whole content of a regular file of at most max_bytes. Links to regular files are followed; FIFOs, devices and folders
// are refused without waiting on them.
Result<std::string> read_small_file(const std::string& path, size_t max_bytes);

struct JsonLimits {
  size_t bytes = size_t(16) << 20;
  // Strings, numbers, objects, ... and keys of all objects: they bound the memory of the parsed tree.
  size_t values = 1 << 18, keys = 1 << 17;
  int depth = 64;
};

// Strict JSON: valid UTF-8, no duplicate keys, no numbers beyond double, nothing behind the value.
Result<nlohmann::json> parse_json(const std::string& name, std::string_view text, const JsonLimits& limits = {});
Result<nlohmann::json> read_json_file(const std::string& path, const JsonLimits& limits = {});

// A string of a hostile file as it may stand in a message: control bytes escaped, at most 100 bytes.
std::string quotable(std::string_view s);

}  // namespace zt
