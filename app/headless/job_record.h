// Events and results as JSON (--json, --progress jsonl): a stable format others parse.
#pragma once

#include <nlohmann/json.hpp>

#include "app/session/events.h"

namespace zt {

// {"t","job","phase","step","steps","eta_s","mem_mb","density"}; t in seconds since the job started, eta_s null while unknown.
nlohmann::ordered_json progress_record(uint64_t job, const Progress& p);
// {"t","job","phase": "done" | "failed" | "cancelled","exit_code",...}.
nlohmann::ordered_json result_record(uint64_t job, const JobResult& r);

}  // namespace zt
