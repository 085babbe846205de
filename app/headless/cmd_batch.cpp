#include <filesystem>
#include <map>
#include <set>

#include "app/engine/batch.h"
#include "app/engine/engine.h"
#include "app/headless/batch_view.h"
#include "app/headless/event_loop.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/stop_signals.h"
#include "app/headless/subcommand.h"
#include "app/media/output_file.h"

namespace zt {
namespace {

struct BatchOptions {
  std::shared_ptr<JobOptions> job;
  std::string input, folder, results, shard;
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

class BatchRun {
 public:
  BatchRun(Batch& batch, BatchView& view, Engine& engine, EventLoop& loop)
      : batch_(batch), view_(view), engine_(engine), signals_(loop, engine, [&](std::string_view line) { view.say(std::string(line)); }) {}

  int work() {
    for (;;) {
      if (computing_ == 0 && !signals_.stopping()) {
        auto next = batch_.next();
        if (!next.ok()) return print_status(next.status());
        show_found();
        if (*next) submit(**next);
      }
      if (!jobs_.empty()) {
        constexpr int kBeat = int(Claim::kBeat / std::chrono::milliseconds(1));
        signals_.wait(computing_ == 0 ? kLookAgain : kBeat);
        batch_.beat();
        show_events();
      } else if (!signals_.stopping() && batch_.others_at_work()) {
        view_.waiting();
        signals_.wait(kLookAgain);
      } else {
        break;
      }
    }
    view_.summary(signals_.stopping());
    if (signals_.stopping()) return int(ExitCode::interrupted);
    for (const BatchItem& i : batch_.items()) {
      if (!i.done) return int(ExitCode::failed);
    }
    return 0;
  }

 private:
  static constexpr int kLookAgain = 300;  // ms

  void submit(BatchItem& item) {
    view_.begin(item);
    Command submit;
    submit.spec = item.spec;
    computing_ = engine_.post(std::move(submit));
    jobs_[computing_] = &item;
  }

  // A job that only writes leaves the machine to the next one.
  void show_events() {
    while (auto event = engine_.poll()) {
      BatchItem& item = *jobs_.at(event->request);
      if (auto* line = std::get_if<std::string>(&event->payload)) view_.note(item, *line);
      auto* p = std::get_if<Progress>(&event->payload);
      auto* r = std::get_if<JobResult>(&event->payload);
      if (p) view_.progress(item, *p);
      if (r || (p && p->state == JobState::writing)) computing_ = computing_ == event->request ? 0 : computing_;
      if (!r) continue;
      batch_.finish(item, std::move(*r));
      view_.result(item);
      jobs_.erase(event->request);
    }
  }

  // Jobs that were done before this run, or by another worker meanwhile.
  void show_found() {
    for (const BatchItem& i : batch_.items()) {
      if (i.done && !i.result && known_.insert(i.number).second) view_.found(i);
    }
  }

  Batch& batch_;
  BatchView& view_;
  Engine& engine_;
  StopSignals signals_;
  std::map<uint64_t, BatchItem*> jobs_;  // by request, those the engine has
  uint64_t computing_ = 0;               // the request that has the machine; 0 = it is free
  std::set<size_t> known_;
};

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
  Engine engine(make_render_runner(*host), loop.wakeup());
  return BatchRun(*batch, view, engine, loop).work();
}

}  // namespace

std::function<int()> setup_batch(CLI::App& app) {
  auto o = std::make_shared<BatchOptions>();
  o->job = add_job_options(app, {});
  app.add_option("input", o->input, "job file (.toml with [[job]] tables, .csv with a line of keys), or a folder of them")->required();
  app.add_option("--output-dir", o->folder, "where clips go (default: beside the file)")->type_name("DIR");
  app.add_option("--results", o->results, "append a record a job to this file")->type_name("FILE");
  app.add_option("--shard", o->shard, "do every n-th job only (default under Slurm: by the array's task)")->type_name("I/N");
  app.add_flag("--dry-run", o->dry, "check everything, print the plan of work, render nothing");
  return [o] { return run_batch(*o); };
}

}  // namespace zt
