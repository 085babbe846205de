#include "app/engine/runners.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"

namespace zt {

std::function<int()> setup_embed(CLI::App& app) {
  auto options = add_job_options(app, stage_fields());
  return [options] {
    Problem problem = finish_job_options(*options);
    if (problem.empty() && !options->given.count("prompt")) problem = "prompt: give one with -p";
    if (!problem.empty()) return print_status(invalid("{}", problem));
    auto host = make_host();
    if (!host.ok()) return print_status(host.status());
    return run_job(make_embed_runner(*host), *options);
  };
}

}  // namespace zt
