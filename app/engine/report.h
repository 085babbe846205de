// --report: what attention did at every step and layer.
#pragma once

#include <string>
#include <vector>

#include "app/engine/job_check.h"
#include "model/dit/attend.h"

namespace zt {

std::string report_json(const PreparedJob& job, const std::string& version, const std::vector<AttentionRecord>& records,
                        const JobResult& result);

}  // namespace zt
