#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "app/analysis/frame_metrics.h"
#include "app/engine/runners.h"
#include "app/headless/bench/measure.h"
#include "app/headless/job_console.h"
#include "model/io/safetensors.h"
#include "model/policy/policy.h"

namespace zt::bench {
namespace {

// A folder for the clips, gone at the end.
class Scratch {
 public:
  static Result<Scratch> make() {
    std::error_code error;
    std::string pattern = (std::filesystem::temp_directory_path(error) / "zoetrope-bench-XXXXXX").string();
    if (!mkdtemp(pattern.data())) return failed("bench methods: cannot make a folder for clips at {}", pattern);
    return Scratch(pattern);
  }
  Scratch(Scratch&& o) noexcept : path_(std::move(o.path_)) { o.path_.clear(); }
  Scratch(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

struct Method {
  std::string spec;
  double density = 1, recall = 1, psnr = 0;
  std::vector<double> step_s, render_s;
};

// Dense first: the others are compared with it. Radial has two masks of its own, as released and as in the paper.
std::vector<std::string> all_methods() {
  std::vector<std::string> specs = {"dense"};
  for (const PolicyInfo& p : policy_table()) {
    if (p.name == "radial") {
      specs.push_back("radial:variant=shipped");
      specs.push_back("radial:variant=exact");
    } else if (p.name != "dense") {
      specs.push_back(p.name);
    }
  }
  return specs;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// Of all values of two clips together.
double psnr(const TensorView& a, const TensorView& b) {
  ZT_CHECK(a.shape == b.shape && a.count() > 0);
  size_t n = size_t(a.count());
  return psnr_of(squared_difference({a.as<uint8_t>(), n}, {b.as<uint8_t>(), n}) / double(n));
}

class Renders {
 public:
  Renders(std::shared_ptr<ModelHost> host, Scratch folder, JobSpec job)
      : runner_(make_render_runner(std::move(host))), folder_(std::move(folder)), job_(std::move(job)) {
    job_.output = folder_ / "clip.mp4", job_.overwrite = true;
  }

  // With the meter on, which costs time: density, recall, and the frames, under `frames`.
  Status measure(Method& m, const char* frames) {
    JobSpec job = job_;
    job.attn = m.spec, job.report = folder_ / "report.json", job.save_frames = folder_ / frames;
    ZT_RETURN_IF_ERROR(render(job).status());
    std::ifstream f(job.report, std::ios::binary);
    auto report = nlohmann::json::parse(f);  // our own
    m.density = report["summary"]["density"], m.recall = report["summary"]["recall"];
    return {};
  }

  Status compare(Method& m) {
    ZT_RETURN_IF_ERROR(measure(m, "frames.safetensors"));
    ZT_ASSIGN_OR_RETURN(auto own, SafetensorsFile::open(folder_ / "frames.safetensors"));
    ZT_ASSIGN_OR_RETURN(auto dense, SafetensorsFile::open(folder_ / kDenseFrames));
    m.psnr = psnr(own.tensors.at("frames"), dense.tensors.at("frames"));
    return {};
  }

  Status time(Method& m) {
    JobSpec job = job_;
    job.attn = m.spec;
    ZT_ASSIGN_OR_RETURN(JobResult r, render(job));
    m.step_s.push_back(r.seconds.at("denoising") / double(r.spec.steps));
    m.render_s.push_back(r.seconds.at("total"));
    return {};
  }

  const std::string& precision() const { return precision_; }
  static constexpr const char* kDenseFrames = "dense.safetensors";

 private:
  Result<JobResult> render(const JobSpec& job) {
    JobControl control;
    control.progress = [](const Progress&) {};
    control.note = [](std::string) {};
    JobResult r = runner_->run(job, control);
    if (r.code == ExitCode::invalid) return invalid("{}", r.error);
    if (r.code == ExitCode::bad_model) return bad_model("{}", r.error);
    if (r.code == ExitCode::too_big) return too_big("{}", r.error);
    if (r.code != ExitCode::done) return failed("{}: {}", job.attn, r.error);
    precision_ = r.spec.precision;
    return r;
  }
  std::unique_ptr<JobRunner> runner_;
  Scratch folder_;
  JobSpec job_;
  std::string precision_;  // what `auto` came to
};

}  // namespace

Result<Report> bench_methods(const MethodsBench& bench) {
  for (const std::string& spec : bench.specs) ZT_RETURN_IF_ERROR(make_policy(spec).status());  // before any work
  ZT_ASSIGN_OR_RETURN(auto host, make_host());
  ZT_ASSIGN_OR_RETURN(Scratch folder, Scratch::make());
  JobSpec job = bench.job;
  job.prompt = "a red balloon rises in a blue sky", job.seed = 42;
  Report report{fmt::format("methods, {}x{}x{}, {} steps, guidance {}, encoding included", job.size.width, job.size.height,
                            job.frames, job.steps, job.cfg_scale),
                machine_facts(host->ctx()),
                {},
                {}};
  if (job.threads > 0) report.facts["threads"] = job.threads;
  report.facts["model"] = job.model;
  Renders renders(host, std::move(folder), job);
  Method dense{"dense", 1, 1, 0, {}, {}};
  ZT_RETURN_IF_ERROR(renders.measure(dense, Renders::kDenseFrames));
  report.facts["precision"] = renders.precision();

  std::vector<Method> methods;
  Table table{
      "PSNR is of all frames together against the dense clip; recall is the mean over sampled rows of all steps, layers and "
      "heads",
      {"method", "density", "recall", "step s", "render s", "PSNR dB"},
      {}};
  for (const std::string& spec : bench.specs.empty() ? all_methods() : bench.specs) {
    Method m{spec, 1, 1, 0, {}, {}};
    Status s = renders.compare(m);
    if (s.ok()) {
      methods.push_back(std::move(m));
    } else if (!bench.specs.empty()) {
      return s;
    } else {  // a method that does not suit the model is no reason to show none
      table.rows.push_back({spec + ": " + s.message(), nullptr, nullptr, nullptr, nullptr, nullptr});
    }
  }
  for (int i = 0; i < bench.rounds; ++i) {
    for (Method& m : methods) ZT_RETURN_IF_ERROR(renders.time(m));
  }
  for (const Method& m : methods) {
    table.rows.push_back({m.spec, m.density, m.recall, median(m.step_s), median(m.render_s),
                          m.psnr < kEqualPsnr ? nlohmann::json(m.psnr) : nlohmann::json("equal")});
  }
  report.tables.push_back(std::move(table));
  return report;
}

}  // namespace zt::bench
