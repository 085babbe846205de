// What a model wants when the user does not say: a small TOML file a model family, read as data.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "app/session/job_spec.h"

namespace zt {

struct Preset {
  int64_t layers = 0, dim = 0;                         // of the transformers it is for; 0 = chosen by name only
  nlohmann::json defaults = nlohmann::json::object();  // job keys
  // What the model was trained on; outside of it a job is warned, never refused. Sides, each way round.
  Size smallest, largest;
  int64_t shortest = 1, longest = kMaxFrames;
};

[[nodiscard]] Problem read_preset(std::string_view toml, Preset& preset);

// One line when the job lies outside what the model was trained on, else empty.
std::string outside_training(const Preset& preset, const JobSpec& spec);

}  // namespace zt
