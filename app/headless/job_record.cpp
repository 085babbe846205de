#include "app/headless/job_record.h"

#include <cmath>

namespace zt {
namespace {

// Divided by a whole number, so that the shortest text is the decimal one.
double rounded(double v, double per_unit) { return std::round(v * per_unit) / per_unit; }

}  // namespace

nlohmann::ordered_json progress_record(uint64_t job, const Progress& p) {
  nlohmann::ordered_json j;
  j["t"] = rounded(p.elapsed_s, 1e3), j["job"] = job, j["phase"] = state_name(p.state), j["step"] = p.step, j["steps"] = p.steps;
  j["eta_s"] = p.eta_s < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(rounded(p.eta_s, 1e3));
  j["mem_mb"] = p.mem_mb, j["density"] = p.density;
  return j;
}

nlohmann::ordered_json result_record(uint64_t job, const JobResult& r) {
  nlohmann::ordered_json j;
  bool done = r.code == ExitCode::done;
  auto total = r.seconds.find("total");
  j["t"] = total == r.seconds.end() ? 0 : rounded(total->second, 1e3), j["job"] = job;
  j["phase"] = state_name(done ? JobState::done : r.code == ExitCode::interrupted ? JobState::cancelled : JobState::failed);
  j["exit_code"] = int(r.code);
  if (!done) j["error"] = r.error;
  j["output"] = done && !r.files.empty() ? nlohmann::ordered_json(r.files.back()) : nlohmann::ordered_json();
  j["files"] = r.files;
  if (!r.settings_hash.empty()) j["settings_hash"] = r.settings_hash;
  j["seed"] = r.spec.seed, j["size"] = std::to_string(r.spec.size.width) + "x" + std::to_string(r.spec.size.height);
  j["frames"] = r.spec.frames, j["fps"] = r.spec.fps, j["steps"] = r.spec.steps, j["precision"] = r.spec.precision;
  for (const auto& [name, value] : r.numbers) j[name] = value;
  auto& seconds = j["seconds"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : r.seconds) seconds[name] = rounded(value, 1e6);
  j["memory_estimate_mb"] = r.memory_estimate_mb, j["peak_mb"] = r.peak_mb, j["tiled_decode"] = r.tiled_decode;
  if (!r.weights.empty()) j["weights"] = r.weights;
  return j;
}

}  // namespace zt
