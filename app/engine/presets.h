// Which preset a model has: by its name for the embedded one, by the shape of its transformer for others.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "app/engine/job_check.h"
#include "app/session/preset.h"
#include "model/config/config.h"

namespace zt {

// The preset of spec.model, or nothing (an unknown model, a damaged one: whoever opens it says so). Files that are not
// valid presets are kFailed: they came with the program.
Result<std::optional<Preset>> find_preset(const std::string& model, const JobPlaces& places);

// Gives the fields that nobody set (`given` are names of the fields that somebody did) the preset's values.
Status apply_preset(JobSpec& spec, const std::set<std::string>& given, const JobPlaces& places);

}  // namespace zt
