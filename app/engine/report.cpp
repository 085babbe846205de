#include "app/engine/report.h"

#include <algorithm>
#include <numeric>

#include "app/session/job_text.h"

namespace zt {

AttentionFigures figures_of(std::span<const AttentionRecord> records) {
  AttentionFigures f;
  double heads = 0, density = 0, recall = 0;
  for (const AttentionRecord& r : records) {
    f.attention_s += r.seconds, f.planning_s += r.plan_seconds;
    for (const HeadRecord& h : r.heads) {
      ++heads, density += h.density, recall += h.recall;
      f.recall_worst = std::min(f.recall_worst, h.recall_worst);
    }
  }
  if (heads > 0) f.density = density / heads, f.recall = recall / heads;
  return f;
}

Status check_recall(std::span<const AttentionRecord> step, double least, int64_t steps) {
  double recall = figures_of(step).recall;
  if (recall >= least) return {};
  const AttentionRecord* call = nullptr;
  size_t head = 0;
  for (const AttentionRecord& r : step) {
    for (size_t h = 0; h < r.heads.size(); ++h) {
      if (!call || r.heads[h].recall < call->heads[head].recall) call = &r, head = h;
    }
  }
  return failed(
      "min_recall: step {} of {} kept {:.4f} of the attention mass, {} was asked for; least in layer {}, head {}: {:.4f}; "
      "keep more in the method, give it more dense_steps, or use --attn dense",
      call->step + 1, steps, recall, least, call->layer, head, call->heads[head].recall);
}

std::string report_json(const PreparedJob& job, const std::string& version, std::span<const AttentionRecord> records,
                        std::span<const double> step_s, double measuring_s, const JobResult& result) {
  AttentionFigures f = figures_of(records);
  double steps_s = std::accumulate(step_s.begin(), step_s.end(), 0.0);
  nlohmann::ordered_json out;
  out["settings"] = settings_document(job.spec, version);
  out["seconds"] = result.seconds;
  out["memory_estimate_mb"] = result.memory_estimate_mb, out["peak_mb"] = result.peak_mb,
  out["tiled_decode"] = result.tiled_decode;
  auto& summary = out["summary"] = nlohmann::ordered_json::object();
  summary["density"] = f.density, summary["recall"] = f.recall, summary["recall_worst"] = f.recall_worst;
  summary["attention_s"] = f.attention_s, summary["planning_s"] = f.planning_s, summary["measuring_s"] = measuring_s;
  // What a step takes when nobody measures.
  summary["seconds_per_step"] = step_s.empty() ? 0 : (steps_s - measuring_s) / double(step_s.size());
  std::string text = out.dump(1);
  text.resize(text.size() - 2);  // the closing "\n}"
  text += ",\n \"entries\": [";
  const char* comma = "";
  for (const AttentionRecord& r : records) {
    for (size_t h = 0; h < r.heads.size(); ++h) {
      const HeadRecord& head = r.heads[h];
      nlohmann::ordered_json e;
      e["step"] = r.step, e["layer"] = r.layer, e["head"] = h, e["branch"] = r.branch == Branch::cond ? "cond" : "uncond";
      e["policy"] = job.attention->name(), e["plan"] = job.spec.attn;
      e["density"] = head.density, e["recall"] = head.recall, e["recall_worst"] = head.recall_worst, e["rel_l2"] = head.rel_l2;
      e["time_ms"] = r.seconds * 1e3, e["plan_ms"] = r.plan_seconds * 1e3;  // of the call, all its heads together
      text += comma + ("\n  " + e.dump());
      comma = ",";
    }
  }
  return text + "\n ]\n}\n";
}

}  // namespace zt
