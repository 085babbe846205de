// A variant: another model with a small delta over its transformer (model/io/low_rank.h) and defaults of its own. Its folder holds
// variant.json and the delta; everything else is the base's.
//
//   {"format": "zoetrope variant 1", "name": "mini-sla", "base": "../..", "delta": "delta.safetensors", "rank": 64, "alpha": 64,
//    "about": "one line", "boundary_ratio": 0.86, "defaults": {"attn": "sla:keep=0.1", "steps": 20, "guidance": 4, "sampler": "euler", "sigmas": [1, 0.75]}}
//
// base: folder of a model that is no variant, seen from the variant's own folder. delta: file beside variant.json
// (delta.safetensors). alpha: the rank unless given; the delta counts alpha / rank times. boundary_ratio: steps at this noise level
// and above are the base's own, with dense attention, the others the variant's, as Wan2.2 shares them between two transformers
// (diffusers pipeline_wan.py); without it all are the variant's. about and each default may be left out; sigmas is the noise level
// of each step. Other keys are refused, so that a misspelt one is not ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

struct Variant {
  std::string name, about;
  std::string file, base, delta;  // variant.json, the base's folder, the delta's file
  int64_t rank = 0;               // 1 to 4096
  double alpha = 0;               // positive
  std::optional<double> boundary_ratio;  // above 0, at most 1
  // What to use where the user does not say.
  std::optional<std::string> attn, sampler;  // attn: name and parameters of a method, not judged here
  std::optional<int64_t> steps;
  std::optional<double> guidance;
  std::vector<double> sigmas;  // strictly falling in (0, 1], as many as steps; or empty
};

// Whether `folder` is a variant's: it holds a variant.json.
bool is_variant(const std::string& folder);
// Hostile input. Every refusal is kBadModel and names file and key; whether base and delta are good is for whoever opens them.
Result<Variant> read_variant(const std::string& folder);

}  // namespace zt
