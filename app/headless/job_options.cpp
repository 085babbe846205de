#include "app/headless/job_options.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>

#include "app/session/job_fields.h"

namespace zt {
namespace {

// Spellings of stable-diffusion.cpp, the Wan repository and diffusers.
const std::map<std::string_view, std::string>& aliases() {
  static const std::map<std::string_view, std::string> names = {
      {"prompt", "-p"},
      {"negative_prompt", "-n,--negative_prompt"},
      {"model", "-m,--ckpt-dir,--ckpt_dir"},
      {"frames", "--video-frames,--num-frames,--num_frames,--frame_num"},
      {"steps", "--sample_steps,--num-inference-steps,--num_inference_steps"},
      {"cfg_scale", "--guidance-scale,--guidance_scale,--sample_guide_scale"},
      {"flow_shift", "--sample_shift"},
      {"sampler", "--sampling-method,--sample_solver"},
      {"seed", "-s,--base_seed"},
      {"output", "-o,--save_file"},
      {"threads", "-t"},
      {"overwrite", "-y"},
  };
  return names;
}

// Values other programs use for the same choice.
std::string known_value(std::string_view field, const std::string& value) {
  static const std::map<std::pair<std::string_view, std::string_view>, std::string> values = {
      {{"rng", "cpu"}, "torch-cpu"},   {{"rng", "torch"}, "torch-cpu"},   {{"rng", "cuda"}, "torch-cuda"},
      {{"sampler", "dpmpp"}, "dpm++"}, {{"sampler", "dpm++2m"}, "dpm++"}, {{"sampler", "dpmpp2m"}, "dpm++"},
      {{"precision", "fp32"}, "f32"},  {{"precision", "float32"}, "f32"}, {{"precision", "bfloat16"}, "bf16"},
      {{"vae_tiling", "true"}, "on"},
  };
  auto found = values.find({field, value});
  return found == values.end() ? value : found->second;
}

std::string flag_list(const Field& f) {
  std::string name = "--" + std::string(f.name);
  std::replace(name.begin() + 2, name.end(), '_', '-');
  auto found = aliases().find(f.name);
  return found == aliases().end() ? name : name + "," + found->second;
}

void add_field(CLI::App& app, const std::shared_ptr<JobOptions>& options, const Field& f) {
  JobOptions* o = options.get();
  if (auto* member = std::get_if<bool JobSpec::*>(&f.member)) {
    app.add_flag_callback(
        flag_list(f), [o, m = *member, &f] { o->spec.*m = true, o->given.emplace(f.name); }, std::string(f.help));
    return;
  }
  auto set = [o, &f](const std::string& value) {
    Problem p = set_field(o->spec, f, std::string_view(known_value(f.name, value)));
    if (!p.empty() && o->problem.empty()) o->problem = p;
    o->given.emplace(f.name);
  };
  std::string help(f.help);
  if (!f.choices.empty()) {
    help += " (";
    for (const std::string& c : f.choices) help += (c == f.choices.front() ? "" : ", ") + c;
    help += ")";
  }
  nlohmann::json fallback = field_value(JobSpec(), f);
  std::string shown = fallback.is_string() ? fallback.get<std::string>() : fallback.dump();
  if (!shown.empty()) help += " [" + shown + "]";
  app.add_option_function<std::string>(flag_list(f), set, help)
      ->type_name(std::string(f.value_name))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

// -W and -H, each one side of --size.
void add_side(CLI::App& app, const std::shared_ptr<JobOptions>& options, const char* flags, int64_t Size::*side) {
  JobOptions* o = options.get();
  auto set = [o, side](const std::string& value) {
    const Field& f = *find_field("size");
    JobSpec scratch;
    Problem p = set_field(scratch, f, std::string_view(value + "x16"));
    if (p.empty()) {
      o->spec.size.*side = scratch.size.width;
      o->given.emplace(f.name);
    } else if (o->problem.empty()) {
      o->problem = p;
    }
  };
  app.add_option_function<std::string>(flags, set, "one side of --size")->type_name("N");
}

}  // namespace

std::vector<std::string> stage_fields() {
  return {"prompt",     "negative_prompt", "model",  "precision", "device",     "threads",
          "max_memory", "max_vram",        "output", "overwrite", "no_metadata"};
}

std::shared_ptr<JobOptions> add_job_options(CLI::App& app, const std::vector<std::string>& fields) {
  auto options = std::make_shared<JobOptions>();
  JobOptions* o = options.get();
  auto wanted = [&](std::string_view name) {
    return fields.empty() || std::find(fields.begin(), fields.end(), name) != fields.end();
  };
  for (const Field& f : job_fields()) {
    if (wanted(f.name)) add_field(app, options, f);
    if (f.name == "prompt") app.add_option("--prompt-file", o->prompt_file, "read the prompt from a file")->type_name("FILE");
  }
  if (fields.empty()) {
    add_side(app, options, "-W,--width", &Size::width);
    add_side(app, options, "-H,--height", &Size::height);
    app.add_flag_callback(
           "--fa,--diffusion-fa", [] {}, "accepted: attention is always fused here")
        ->group("");
  }
  app.add_flag("--json", o->json, "print the result as one JSON object");
  auto progress = [o](const std::string& mode) {
    const std::map<std::string, ProgressMode> modes = {
        {"plain", ProgressMode::plain}, {"jsonl", ProgressMode::jsonl}, {"none", ProgressMode::none}};
    auto found = modes.find(mode);
    if (found != modes.end()) {
      o->progress = found->second, o->progress_given = true;
    } else if (o->problem.empty()) {
      o->problem = "progress: `" + mode.substr(0, 40) + "` is not one of plain, jsonl, none";
    }
  };
  app.add_option_function<std::string>("--progress", progress,
                                       "plain text on standard error, one JSON event a line on standard output, or none [plain]")
      ->type_name("MODE");
  return options;
}

Problem finish_job_options(JobOptions& o) {
  if (!o.prompt_file.empty() && o.given.count("prompt")) return "prompt: give --prompt or --prompt-file, not both";
  std::istream* source = nullptr;
  std::ifstream file;
  if (!o.prompt_file.empty()) {
    file.open(o.prompt_file, std::ios::binary);
    if (!file) return "prompt_file: " + o.prompt_file + " cannot be read";
    source = &file;
  } else if (o.spec.prompt == "-") {
    source = &std::cin;
  }
  if (source) {
    std::string text(kMaxTextBytes + 1, '\0');  // one more than allowed, so that validate sees it is too long
    text.resize(size_t(source->read(text.data(), std::streamsize(text.size())).gcount()));
    if (source->bad()) return "prompt: cannot be read";
    o.spec.prompt = text;
    o.given.emplace("prompt");
  }
  return o.problem;
}

}  // namespace zt
