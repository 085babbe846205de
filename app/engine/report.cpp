#include "app/engine/report.h"

#include "app/session/job_text.h"

namespace zt {

std::string report_json(const PreparedJob& job, const std::string& version, const std::vector<AttentionRecord>& records,
                        const JobResult& result) {
  nlohmann::ordered_json out;
  out["settings"] = settings_document(job.spec, version);
  out["seconds"] = result.seconds;
  out["memory_estimate_mb"] = result.memory_estimate_mb, out["peak_mb"] = result.peak_mb,
  out["tiled_decode"] = result.tiled_decode;
  auto& entries = out["entries"] = nlohmann::ordered_json::array();
  for (const AttentionRecord& r : records) {
    nlohmann::ordered_json e;
    e["step"] = r.step, e["layer"] = r.layer;
    e["head"] = "all";  // one plan serves all heads
    e["branch"] = r.branch == Branch::cond ? "cond" : "uncond";
    e["policy"] = job.attention->name(), e["plan"] = job.spec.attn;
    e["density"] = r.density, e["time_ms"] = r.seconds * 1e3;
    entries.push_back(std::move(e));
  }
  return out.dump(1) + "\n";
}

}  // namespace zt
