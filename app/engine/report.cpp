#include "app/engine/report.h"

#include <algorithm>
#include <cmath>
#include <cstring>
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

std::string pack(const ReportLog& log, int64_t steps) {
  if (int64_t(log.step_s.size()) < steps) return {};  // some were made without a report
  std::vector<double> v = {double(log.records.empty() ? 0 : log.records[0].heads.size()), log.measuring_s};
  v.insert(v.end(), log.step_s.begin(), log.step_s.begin() + steps);
  for (const AttentionRecord& r : log.records) {
    if (r.step >= steps) continue;  // of a step that was cut short
    v.insert(v.end(), {double(r.step), double(r.layer), double(r.branch), r.seconds, r.plan_seconds});
    for (const HeadRecord& h : r.heads) v.insert(v.end(), {h.density, h.recall, h.recall_worst, h.rel_l2});
  }
  return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(double)};
}

std::optional<ReportLog> unpack_report(std::string_view bytes, int64_t steps) {
  constexpr double kMostHeads = 4096, kMostLayers = 10000;
  std::vector<double> v(bytes.size() / sizeof(double));
  if (!v.empty()) std::memcpy(v.data(), bytes.data(), v.size() * sizeof(double));
  size_t at = 2 + size_t(steps);
  bool good = bytes.size() % sizeof(double) == 0 && v.size() >= at && v[0] >= 0 && v[0] <= kMostHeads;
  good = good && std::all_of(v.begin(), v.end(), [](double x) { return std::isfinite(x); });
  size_t heads = good ? size_t(v[0]) : 0, row = 5 + 4 * heads;
  if (!good || (v.size() - at) % row != 0) return {};
  ReportLog log;
  log.measuring_s = v[1], log.step_s.assign(v.begin() + 2, v.begin() + ptrdiff_t(at));
  for (; at < v.size(); at += row) {
    const double* p = v.data() + at;
    if (p[0] < 0 || p[0] >= double(steps) || p[1] < 0 || p[1] >= kMostLayers) return {};
    AttentionRecord r;
    r.step = int64_t(p[0]), r.layer = int64_t(p[1]), r.branch = p[2] == 0 ? Branch(0) : Branch(1);
    r.seconds = p[3], r.plan_seconds = p[4], p += 5;
    for (size_t h = 0; h < heads; ++h, p += 4) r.heads.push_back({p[0], p[1], p[2], p[3]});
    log.records.push_back(std::move(r));
  }
  return log;
}

std::string report_json(const PreparedJob& job, const std::string& version, const ReportLog& log, const JobResult& result) {
  AttentionFigures f = figures_of(log.records);
  double steps_s = std::accumulate(log.step_s.begin(), log.step_s.end(), 0.0);
  nlohmann::ordered_json out;
  out["settings"] = settings_document(job.spec, version);
  out["seconds"] = result.seconds;
  out["memory_estimate_mb"] = result.memory_estimate_mb, out["peak_mb"] = result.peak_mb,
  out["tiled_decode"] = result.tiled_decode;
  if (!result.weights.empty()) out["weights"] = result.weights;
  auto& summary = out["summary"] = nlohmann::ordered_json::object();
  summary["density"] = f.density, summary["recall"] = f.recall, summary["recall_worst"] = f.recall_worst;
  summary["attention_s"] = f.attention_s, summary["planning_s"] = f.planning_s, summary["measuring_s"] = log.measuring_s;
  // What a step takes when nobody measures.
  summary["seconds_per_step"] = log.step_s.empty() ? 0 : (steps_s - log.measuring_s) / double(log.step_s.size());
  std::string text = out.dump(1);
  text.resize(text.size() - 2);  // the closing "\n}"
  text += ",\n \"entries\": [";
  const char* comma = "";
  for (const AttentionRecord& r : log.records) {
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
