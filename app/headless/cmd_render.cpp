#include "app/engine/presets.h"
#include "app/engine/runners.h"
#include "app/headless/job_console.h"
#include "app/headless/job_record.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/session/job_text.h"

namespace zt {
namespace {

int plan_only(ModelHost& host, const JobOptions& o) {
  JobControl control;
  std::atomic<bool> never{false};
  control.cancel = &never;
  control.note = [](std::string line) { print_note(line); };
  JobResult result;
  auto job = dry_run(host, o.spec, control, result);
  result.code = exit_code(job.ok() ? Code::kOk : job.status().code());
  if (!job.ok()) result.error = job.status().message();
  if (o.json) {
    nlohmann::ordered_json out = result_record(0, result);
    if (job.ok()) out["settings"] = settings_json(result.spec), out["output"] = result.spec.output, out["dry_run"] = true;
    print_json(out);
  } else if (job.ok()) {
    const JobSpec& s = result.spec;
    print_result(fmt::format("{}: {}x{}, {} frames at {} fps, {} steps, {}, {} tokens, {} MiB, settings {}\n", s.output,
                             s.size.width, s.size.height, s.frames, s.fps, s.steps, s.precision,
                             int64_t(result.numbers["tokens"]), result.memory_estimate_mb, result.settings_hash));
  }
  return job.ok() ? 0 : print_status(job.status());
}

}  // namespace

std::function<int()> setup_render(CLI::App& app) {
  auto options = add_job_options(app, {});
  app.add_flag("--dry-run", options->dry_run, "check everything, print the plan of work, render nothing");
  app.add_flag("--explain", options->explain, "say which implementation runs and why the others do not");
  return [options] {
    Problem problem = finish_job_options(*options);
    if (problem.empty() && !options->given.count("prompt") && options->spec.text_embeds.empty())
      problem = "prompt: give one with -p (or --text-embeds)";
    if (!problem.empty()) return print_status(invalid("{}", problem));
    auto host = make_host();
    if (!host.ok()) return print_status(host.status());
    if (Status s = apply_preset(options->spec, options->given, (*host)->places()); !s.ok()) return print_status(s);
    if (options->dry_run) return plan_only(**host, *options);
    return run_job(make_render_runner(*host, {options->explain, {}}), *options);
  };
}

}  // namespace zt
