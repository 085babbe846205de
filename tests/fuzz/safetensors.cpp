// The whole file: length, header, data.
#include <cstring>

#include "model/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

namespace zt::fuzz {
namespace {

std::string file(const std::string& header, size_t data) {
  uint64_t n = header.size();
  return std::string(reinterpret_cast<const char*>(&n), 8) + header + std::string(data, '\1');
}

}  // namespace

std::vector<std::string> seeds() {
  return {file(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})", 32),
          file(R"({"__metadata__":{"k":"v\n\u00e9"},"x":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1),
          file(R"({"e":{"dtype":"I64","shape":[0,7],"data_offsets":[0,0]}}  )", 0), file("{}", 0)};
}

void one(std::string_view input) {
  static const Scratch scratch;
  auto f = SafetensorsFile::open(scratch.write("x.safetensors", input));
  if (!f.ok()) return require(!f.status().message().empty() && f.status().message().find('\n') == std::string::npos);
  size_t bytes = 0;
  for (const auto& [name, t] : f->tensors) {
    bytes += t.bytes();
    if (t.count() == 0) continue;
    const auto* p = static_cast<const uint8_t*>(t.data);
    require(p >= f->file->data() && p + t.bytes() <= f->file->data() + f->file->size());
    volatile uint8_t touched = uint8_t(p[0] ^ p[t.bytes() - 1]);
    (void)touched;
  }
  require(bytes <= input.size());
}

}  // namespace zt::fuzz
