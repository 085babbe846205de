// encode and decode: the two ways through the VAE.
#include "app/engine/runners.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"

namespace zt {
namespace {

using MakeRunner = std::unique_ptr<JobRunner> (*)(std::shared_ptr<ModelHost>, std::string);

std::function<int()> setup_stage(CLI::App& app, std::vector<std::string> more_fields, const char* input_flags, const char* what, MakeRunner make) {
  std::vector<std::string> fields = stage_fields();
  fields.insert(fields.end(), more_fields.begin(), more_fields.end());
  auto options = add_job_options(app, fields);
  auto input = std::make_shared<std::string>();
  app.add_option(input_flags, *input, what)->required();
  return [options, input, make] {
    Problem problem = finish_job_options(*options);
    if (!problem.empty()) return print_status(invalid("{}", problem));
    auto host = make_host();
    if (!host.ok()) return print_status(host.status());
    return run_job(make(*host, *input), *options);
  };
}

}  // namespace

std::function<int()> setup_encode(CLI::App& app) {
  return setup_stage(app, {}, "-i,--input,input", "the clip, or numbered images such as f_%03d.png", make_encode_runner);
}

std::function<int()> setup_decode(CLI::App& app) {
  return setup_stage(app, {"fps", "codec", "crf", "pix_fmt", "save_frames", "vae_tiling"}, "-i,--input,--latents,input",
                     "safetensors with `latents` [C, T, H, W]", make_decode_runner);
}

}  // namespace zt
