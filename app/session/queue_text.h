// The waiting jobs of a window as a job file that `batch` runs as it is.
#pragma once

#include <span>
#include <string>

#include "app/session/job_spec.h"

namespace zt {

// Outputs must lie in `folder`; their names are relative to it in the file. What all jobs have in common stands in [defaults].
// `written` receives how many jobs fit into the size that job files may have.
std::string queue_text(std::span<const JobSpec> jobs, const std::string& folder, size_t& written);

}  // namespace zt
