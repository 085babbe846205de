// encode and decode: the two ways through the VAE.
#include "app/engine/runners.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/session/job_fields.h"
#include "app/session/job_text.h"
#include "model/io/safetensors.h"

namespace zt {
namespace {

// What made the latents is stored with them: it becomes what is stored with the clip, where no flag says otherwise.
// Latents of other programs carry nothing, and damaged files are the runner's to refuse.
void inherit_settings(JobOptions& o, const std::string& input) {
  constexpr std::string_view kInherited[] = {"prompt",     "negative_prompt", "fps",  "steps", "cfg_scale",
                                             "flow_shift", "sampler",         "seed", "rng",   "attn"};
  auto file = SafetensorsFile::open(input);
  JobSpec stored;
  if (!file.ok() || !file->metadata.count("settings") || !read_settings(file->metadata.at("settings"), stored).empty()) return;
  nlohmann::json keys = nlohmann::json::object();
  for (std::string_view name : kInherited) {
    if (!o.given.count(std::string(name))) keys[std::string(name)] = field_value(stored, *find_field(name));
  }
  o.problem = apply_keys(keys, o.spec);
}

using MakeRunner = std::unique_ptr<JobRunner> (*)(std::shared_ptr<ModelHost>, std::string);

std::function<int()> setup_stage(CLI::App& app, std::vector<std::string> more_fields, const char* input_flags, const char* what,
                                 bool inherits, MakeRunner make) {
  std::vector<std::string> fields = stage_fields();
  fields.insert(fields.end(), more_fields.begin(), more_fields.end());
  auto options = add_job_options(app, fields);
  auto input = std::make_shared<std::string>();
  app.add_option(input_flags, *input, what)->required();
  return [options, input, inherits, make] {
    Problem problem = finish_job_options(*options);
    if (problem.empty() && inherits) {
      inherit_settings(*options, *input);
      problem = options->problem;
    }
    if (!problem.empty()) return print_status(invalid("{}", problem));
    auto host = make_host();
    if (!host.ok()) return print_status(host.status());
    return run_job(make(*host, *input), *options);
  };
}

}  // namespace

std::function<int()> setup_encode(CLI::App& app) {
  return setup_stage(app, {}, "-i,--input,input", "the clip, or numbered images such as f_%03d.png", false, make_encode_runner);
}

std::function<int()> setup_decode(CLI::App& app) {
  return setup_stage(app, {"fps", "codec", "crf", "pix_fmt", "save_frames", "vae_tiling"}, "-i,--input,--latents,input",
                     "safetensors with `latents` [C, T, H, W]", true, make_decode_runner);
}

}  // namespace zt
