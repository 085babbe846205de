// The JSON header of a safetensors file, parsed by hand: its grammar is tiny, and a general parser would build a tree of a
// hostile 100 MB header before a single rule could be checked.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/tensor.h"

namespace zt {

struct HeaderEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  uint64_t begin = 0, end = 0;  // bytes, from the start of the data
};

struct SafetensorsHeader {
  std::vector<HeaderEntry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

// text: the header bytes. data_bytes: what follows the header in the file. All rules but those on the header's own length
// are checked here; a message names the tensor and the rule, not the file.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, uint64_t data_bytes);

// Name of the type in a header ("BF16"), and its inverse for the types a DType can hold.
std::string_view safetensors_dtype_name(DType t);

}  // namespace zt
