// Variants made up for tests: deltas of random or zero values over a model that is there.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "model/config/config.h"
#include "model/io/safetensors.h"
#include "tests/support/testing.h"

namespace zt::testing {

struct DeltaRule {
  int64_t rank = 4;
  float size = 0;  // of B's values; 0 = a delta that changes nothing
  bool projection = false;
  DType type = DType::bf16;
  uint64_t seed = 1;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

inline Status write_named(const std::string& path, const NamedTensors& tensors) {
  std::vector<NamedTensor> list;
  for (const auto& [name, t] : tensors) list.push_back({name, t.view()});
  return write_safetensors(path, list);
}

// A delta of every matrix of the blocks, named as the recipe names them.
inline NamedTensors make_delta(Arena& arena, const TransformerConfig& c, const DeltaRule& rule) {
  NamedTensors out;
  uint64_t seed = rule.seed;
  for (int64_t i = 0; i < c.layers; ++i) {
    std::string at = "transformer.blocks." + std::to_string(i) + ".";
    auto matrix = [&](const std::string& name, int64_t rows, int64_t columns) {
      out.emplace_back(at + name + ".lora_A.weight", random_tensor(arena, rule.type, {rule.rank, columns}, ++seed, 0.1f));
      out.emplace_back(at + name + ".lora_B.weight", random_tensor(arena, rule.type, {rows, rule.rank}, ++seed, rule.size));
    };
    for (const char* block : {"attn1.", "attn2."}) {
      for (const char* name : {"to_q", "to_k", "to_v", "to_out.0"}) matrix(block + std::string(name), c.dim(), c.dim());
    }
    matrix("ffn.net.0.proj", c.ffn_dim, c.dim());
    matrix("ffn.net.2", c.dim(), c.ffn_dim);
    if (!rule.projection) continue;
    std::string proj = at + "attn1.attn_op.local_attn.proj_l";
    out.emplace_back(proj + ".weight", random_tensor(arena, rule.type, {c.head_dim, c.head_dim}, ++seed, 0.1f));
    out.emplace_back(proj + ".bias", random_tensor(arena, rule.type, {c.head_dim}, ++seed, 0.1f));
  }
  return out;
}

// variant.json of `folder`; more: further members, each with a comma in front.
inline void write_variant_json(const std::string& folder, const std::string& base, int64_t rank, const std::string& more = "") {
  std::filesystem::create_directories(folder);
  std::string name = std::filesystem::path(folder).filename().string();
  std::ofstream(folder + "/variant.json") << R"({"format": "zoetrope variant 1", "name": ")" << name << R"(", "base": ")" << base
                                          << R"(", "rank": )" << rank << more << "}";
}

inline void write_variant(const std::string& folder, const std::string& base, const TransformerConfig& c, const DeltaRule& rule,
                          const std::string& more = "") {
  write_variant_json(folder, base, rule.rank, more);
  Arena arena;
  Status s = write_named(folder + "/delta.safetensors", make_delta(arena, c, rule));
  EXPECT_TRUE(s.ok()) << s.message();
}

}  // namespace zt::testing
