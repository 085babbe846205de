// --explain: for the shapes of a job, which implementation takes each kind of call and why the others do not.
#pragma once

#include <string>
#include <vector>

#include "model/pipeline/text_to_video.h"

namespace zt {

std::vector<std::string> explain_choices(const ModelFolder& model, const Shape& latent, DType compute, const ExecContext& ctx);

}  // namespace zt
