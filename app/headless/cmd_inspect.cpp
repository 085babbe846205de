// inspect: a render that is looked at while it runs.
#include <filesystem>

#include "app/analysis/inspect_report.h"
#include "app/engine/presets.h"
#include "app/engine/runners.h"
#include "app/headless/job_console.h"
#include "app/headless/number_list.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/media/output_file.h"
#include "app/session/job_fields.h"
#include "app/session/job_text.h"

namespace zt {
namespace {

struct Options {
  std::string folder, steps, layers, heads;
  bool uncond = false;
  std::shared_ptr<JobOptions> job;
};

// Start, three places between, end.
std::set<int64_t> five_of(int64_t steps) {
  std::set<int64_t> s;
  for (int64_t i = 0; i < 5; ++i) s.insert(i * (steps - 1) / 4);
  return s;
}

Result<CaptureChoice> choice_of(const Options& o, int64_t steps) {
  CaptureChoice c;
  c.uncond = o.uncond;
  ZT_ASSIGN_OR_RETURN(c.steps, read_numbers("at-steps", o.steps));
  ZT_ASSIGN_OR_RETURN(c.layers, read_numbers("at-layers", o.layers));
  ZT_ASSIGN_OR_RETURN(c.heads, read_numbers("at-heads", o.heads));
  if (o.steps.empty()) c.steps = five_of(steps);
  if (!c.steps.empty() && *c.steps.rbegin() >= steps) return invalid("at-steps: {} is not one of the steps 0..{}", *c.steps.rbegin(), steps - 1);
  return c;
}

int run(Options& o) {
  JobOptions& job = *o.job;
  Problem problem = finish_job_options(job);
  if (problem.empty() && !job.given.count("prompt") && job.spec.text_embeds.empty()) problem = "prompt: give one with -p (or --text-embeds)";
  if (!problem.empty()) return print_status(invalid("{}", problem));
  auto host = make_host();
  if (!host.ok()) return print_status(host.status());
  if (Status s = apply_preset(job.spec, job.given, (*host)->places()); !s.ok()) return print_status(s);
  auto choice = choice_of(o, job.spec.steps);
  if (!choice.ok()) return print_status(choice.status());
  std::error_code error;
  std::filesystem::create_directories(o.folder, error);
  if (error) return print_status(invalid("output: {}: {}", o.folder, error.message()));
  if (Status s = check_output(o.folder + "/report.json", job.spec.overwrite); !s.ok()) return print_status(s);
  job.spec.output = o.folder + "/clip.mp4";

  std::string policy = job.spec.attn.substr(0, job.spec.attn.find(':'));
  InspectReport report(o.folder, policy, true);
  AttentionCapture capture(*choice, [&](const CapturedHead& head) { return report.add(head); });
  RenderOptions options;
  options.hooks = {&capture};
  JobResult result = run_and_show(make_render_runner(*host, options), job.spec, job);
  if (result.code != ExitCode::done) {
    print_error(result.error);
    return int(result.code);
  }
  if (report.files().empty()) return print_status(invalid("inspect: no step, layer or head of this model was chosen"));
  Status s = report.finish(settings_document(result.spec, (*host)->places().version), capture.seconds(), "clip.mp4");
  if (!s.ok()) return print_status(s);
  if (job.json) {
    nlohmann::ordered_json out;
    out["folder"] = o.folder, out["report"] = o.folder + "/report.json", out["html"] = o.folder + "/report.html";
    out["clip"] = job.spec.output, out["capture_s"] = capture.seconds(), out["seconds"] = result.seconds;
    print_json(out);
  } else {
    print_result(o.folder + "/report.html\n");
  }
  return 0;
}

}  // namespace

std::function<int()> setup_inspect(CLI::App& app) {
  auto o = std::make_shared<Options>();
  std::vector<std::string> fields;
  for (const std::string& f : field_names()) {
    if (f != "output") fields.push_back(f);
  }
  o->job = add_job_options(app, fields);
  app.add_option("-o,--output", o->folder, "folder for the pictures, report.json, report.html and the clip")->required()->type_name("DIR");
  app.add_option("--at-steps", o->steps, "steps to look at, counted from 0, such as 0,5-9 (five over the run)")->type_name("LIST");
  app.add_option("--at-layers", o->layers, "layers to look at (all)")->type_name("LIST");
  app.add_option("--at-heads", o->heads, "heads to look at (all)")->type_name("LIST");
  app.add_flag("--uncond", o->uncond, "the unconditional branch, too");
  return [o] { return run(*o); };
}

}  // namespace zt
