// The index of sharded weights, beside one good shard.
#include "model/io/weights.h"
#include "tests/fuzz/fuzz.h"

namespace zt::fuzz {

std::vector<std::string> seeds() {
  return {R"({"metadata":{"total_size":24},"weight_map":{"a":"shard.safetensors"}})",
          R"({"weight_map":{"a":"shard.safetensors","b":"other.safetensors"}})", R"({"weight_map":{"a":"../x.safetensors"}})",
          R"({"weight_map":{}})"};
}

void one(std::string_view input) {
  static const Scratch scratch;
  static const std::string shard = [] {
    std::string header = R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
    uint64_t n = header.size();
    return scratch.write("shard.safetensors", std::string(reinterpret_cast<const char*>(&n), 8) + header + std::string(24, '\0'));
  }();
  scratch.write("model.safetensors.index.json", input);
  auto store = WeightStore::open(scratch.path());
  if (!store.ok()) return require(store.status().message().find('\n') == std::string::npos);
  // Only the shard in this folder can have answered.
  require(store->tensors().size() == 1 && store->has("a"));
}

}  // namespace zt::fuzz
