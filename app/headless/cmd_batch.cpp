#include <filesystem>

#include "app/engine/parallel_jobs.h"
#include "app/headless/batch_run.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/media/output_file.h"
#include "kernels/core/cpu_features.h"

namespace zt {
namespace {

struct BatchOptions {
  std::shared_ptr<JobOptions> job;
  std::string input, folder, results, shard;
  int64_t parallel = 0;
  bool dry = false;
};

// Where clips go when nobody says: beside the file, or into the folder that was named.
std::string default_folder(const std::string& input) {
  std::error_code error;
  return std::filesystem::is_directory(input, error) ? input : folder_of(input);
}

int print_plan(const BatchOptions& o, std::span<BatchItem> items) {
  Status trouble;
  int64_t peak = 0;
  size_t done = 0;
  double seconds = 0;
  for (const BatchItem& i : items) {
    const JobSpec& s = i.spec;
    if (trouble.ok()) trouble = i.trouble;
    peak = std::max(peak, i.memory_mb), done += i.done;
    if (!i.done) seconds += i.expected_s;
    if (o.job->json) continue;
    print_result(fmt::format("{:5}  {}  {}x{}x{}  {} steps  seed {}  {}  {} tokens  {} MiB  {:.1f} s{}{}{}\n", i.number, s.output, s.size.width,
                             s.size.height, s.frames, s.steps, s.seed, s.attn, i.tokens, i.memory_mb, i.expected_s, i.tiled_decode ? " (tiled)" : "",
                             i.done ? "  done" : "", i.trouble.ok() ? "" : "  does not fit"));
  }
  if (o.job->json) {
    nlohmann::ordered_json out, list = nlohmann::ordered_json::array();
    for (const BatchItem& i : items) {
      list.push_back({{"job", i.number}, {"output", i.spec.output}, {"settings_hash", i.settings_hash}, {"memory_mb", i.memory_mb},
                      {"tokens", i.tokens}, {"expected_s", i.expected_s}, {"tiled_decode", i.tiled_decode}, {"done", i.done}, {"fits", i.trouble.ok()}});
    }
    out["dry_run"] = true, out["jobs"] = list, out["memory_mb"] = peak, out["done"] = done, out["expected_s"] = seconds;
    print_json(out);
  }
  print_note(fmt::format("{} jobs, {} of them done, at most {} MiB, about {:.0f} s left to do", items.size(), done, peak, seconds));
  return print_status(trouble);
}

int run_batch(const BatchOptions& o) {
  if (Problem p = finish_job_options(*o.job); !p.empty()) return print_status(invalid("{}", p));
  auto inputs = read_batch_inputs(o.input);
  if (!inputs.ok()) return print_status(inputs.status());
  std::vector<BatchJob> jobs;
  Problem problem = read_batch(*inputs, o.job->spec, o.job->given, jobs);
  if (!problem.empty()) return print_status(invalid("{}", problem));
  Shard shard;
  if (!o.shard.empty()) {
    auto given = parse_shard(o.shard);
    if (!given.ok()) return print_status(given.status());
    shard = *given;
  } else {
    auto slurm = slurm_shard();
    if (!slurm.ok()) return print_status(slurm.status());
    if (*slurm) shard = **slurm;
  }
  EventLoop loop;
  if (!loop.ok()) return print_status(failed("the system has no file descriptors left"));
  auto host = make_host();
  if (!host.ok()) return print_status(host.status());
  std::string folder = without_slash(o.folder.empty() ? default_folder(o.input) : o.folder);
  auto batch = Batch::open(**host, std::move(jobs), folder, shard, o.dry, [&] { return loop.wait(0) > 0; });
  if (!batch.ok()) return print_status(batch.status());
  if (o.dry) return print_plan(o, batch->items());
  BatchView view(*o.job, o.results, batch->items());
  if (!view.ok()) return print_status(invalid("--results {}: cannot be written", o.results));
  remove_stale(folder);
  std::vector<std::unique_ptr<JobRunner>> runners;
  runners.push_back(make_render_runner(*host));
  int64_t count = parallel_jobs(batch->items(), o.parallel, physical_threads(), available_memory());
  while (int64_t(runners.size()) < count) {
    auto more = make_host();
    if (!more.ok()) return print_status(more.status());
    runners.push_back(make_render_runner(*more));
  }
  return BatchRun(*batch, view, loop, std::move(runners), physical_threads()).work();
}

}  // namespace

std::function<int()> setup_batch(CLI::App& app) {
  auto o = std::make_shared<BatchOptions>();
  o->job = add_job_options(app, {});
  app.add_option("input", o->input, "job file (.toml with [[job]] tables, .csv with a line of keys), or a folder of them")->required();
  app.add_option("--output-dir", o->folder, "where clips go (default: beside the file)")->type_name("DIR");
  app.add_option("--results", o->results, "append a record a job to this file")->type_name("FILE");
  app.add_option("--shard", o->shard, "do every n-th job only (default under Slurm: by the array's task)")->type_name("I/N");
  app.add_option("--parallel", o->parallel, "jobs at a time, which share the threads (default: by the size of the jobs, as memory allows)")
      ->check(CLI::Range(1, 64))->type_name("N");
  app.add_flag("--dry-run", o->dry, "check everything, print the plan of work, render nothing");
  return [o] { return run_batch(*o); };
}

}  // namespace zt
