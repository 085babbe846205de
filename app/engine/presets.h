// Which preset a model has: the embedded one its own, others by the shape of their transformer; a variant has its base's with its
// own defaults over it.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "app/engine/job_check.h"
#include "app/session/preset.h"
#include "model/config/config.h"

namespace zt {

// The preset of spec.model, or nothing (an unknown model, a damaged one: whoever opens it says so). Files that are not
// valid presets are kFailed: they came with the program. A variant whose default method does not exist is kBadModel.
Result<std::optional<Preset>> find_preset(const std::string& model, const JobPlaces& places);

// Gives the fields that nobody set (`given` are names of the fields that somebody did) the preset's values, and settles noise
// levels (settle_sigmas): those of a preset yield to other steps or a flow shift that somebody set. kInvalid when what was set
// disagrees.
Status apply_preset(JobSpec& spec, const std::set<std::string>& given, const JobPlaces& places);

}  // namespace zt
