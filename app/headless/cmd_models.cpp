#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/engine/job_check.h"
#include "app/engine/places.h"
#include "app/engine/presets.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/session/job_fields.h"
#include "model/io/weights.h"
#include "model/pipeline/text_to_video.h"

namespace zt {
namespace {

struct ModelLine {
  std::string name, path, problem, base, about;  // base: of a variant
  int64_t parameters = 0;
  size_t bytes = 0, delta_bytes = 0;  // bytes: all that is read, a base's weights among it
};

ModelLine describe_model(const std::string& name, const std::string& path) {
  ModelLine line;
  line.name = name, line.path = path;
  auto model = open_model_folder(path);
  if (!model.ok()) {
    line.problem = model.status().message();
    return line;
  }
  line.parameters = model->transformer_config.parameters();
  auto count = [&](const std::string& part) -> size_t {
    auto store = WeightStore::open(part);
    if (!store.ok()) line.problem = store.status().message();
    return store.ok() ? store->bytes() : 0;
  };
  for (const std::string& part : {model->transformer, model->vae, model->text_encoder}) line.bytes += count(part);
  if (const auto& v = model->variant) {
    line.base = v->base, line.about = v->about, line.delta_bytes = count(v->delta);
    line.bytes += line.delta_bytes;
  }
  return line;
}

// A folder named by the user is a model or a variant, or holds some; a model may have variants in a folder of that name.
Status look_into(const std::string& folder, std::vector<ModelLine>& lines) {
  namespace fs = std::filesystem;
  std::error_code error, ignored;
  auto is_model = [&](const fs::path& p) { return fs::exists(p / "model_index.json", ignored) || is_variant(p.string()); };
  if (is_model(folder)) lines.push_back(describe_model(fs::path(folder).filename().string(), folder));
  for (const fs::path& place : {fs::path(folder), fs::path(folder) / "variants"}) {
    std::vector<std::string> found;
    bool optional = place != fs::path(folder);
    for (const auto& e : fs::directory_iterator(place, optional ? ignored : error)) {
      if (is_model(e.path())) found.push_back(e.path().string());
    }
    std::sort(found.begin(), found.end());
    for (const std::string& f : found) lines.push_back(describe_model(fs::path(f).filename().string(), f));
  }
  return error ? bad_model("{}: {}", folder, error.message()) : ok_status();
}

int list(const std::vector<std::string>& folders, bool json) {
  std::vector<ModelLine> lines;
  JobPlaces places = find_places();
  for (const std::string& name : embedded_models(places)) lines.push_back(describe_model(name, embedded_folder(name, places)));
  for (const std::string& f : folders) {
    if (Status s = look_into(f, lines); !s.ok()) return print_status(s);
  }
  nlohmann::ordered_json out;
  out["models"] = nlohmann::ordered_json::array();
  std::string text;
  for (const ModelLine& m : lines) {
    nlohmann::ordered_json j;
    j["name"] = m.name, j["path"] = m.path, j["transformer_parameters"] = m.parameters, j["bytes"] = m.bytes;
    if (!m.base.empty()) j["base"] = m.base, j["delta_bytes"] = m.delta_bytes, j["about"] = m.about;
    if (!m.problem.empty()) j["problem"] = m.problem;
    out["models"].push_back(std::move(j));
    std::string kind = m.base.empty() ? "" : fmt::format("  variant, delta {:.1f} MB{}", double(m.delta_bytes) / 1e6, m.about.empty() ? "" : ": " + m.about);
    text += fmt::format("{:16} {:8.1f} M parameters, {:8.1f} MB  {}{}{}\n", m.name, double(m.parameters) / 1e6, double(m.bytes) / 1e6,
                        m.path, kind, m.problem.empty() ? "" : "  PROBLEM: " + m.problem);
  }
  json ? print_json(out) : print_result(text);
  return 0;
}

// The defaults it brings along: what they are and whether they can be had.
Result<JobSpec> defaults_of(const std::string& model, const JobPlaces& places) {
  JobSpec spec;
  spec.model = model;
  ZT_RETURN_IF_ERROR(apply_preset(spec, {}, places));
  return spec;
}

int verify(const std::string& model, bool json) {
  JobPlaces places = find_places();
  std::string root = model;
  auto check = [&]() -> Status {
    ZT_ASSIGN_OR_RETURN(root, model_root(model, places));
    ZT_ASSIGN_OR_RETURN(auto pipeline, TextToVideo::open(root, DType::f32));
    ZT_RETURN_IF_ERROR(defaults_of(model, places).status());
    return pipeline->verify();
  };
  Status s = check();
  if (json) {
    nlohmann::ordered_json out;
    out["model"] = root, out["good"] = s.ok();
    if (!s.ok()) out["problem"] = s.message();
    print_json(out);
  } else if (s.ok()) {
    print_result(root + ": good\n");
  }
  return print_status(s);
}

int show(const std::string& model, bool json) {
  JobPlaces places = find_places();
  nlohmann::ordered_json out;
  auto look = [&]() -> Status {
    ZT_ASSIGN_OR_RETURN(std::string root, model_root(model, places));
    ZT_ASSIGN_OR_RETURN(auto pipeline, TextToVideo::open(root, DType::f32));
    ZT_ASSIGN_OR_RETURN(JobSpec defaults, defaults_of(model, places));
    ZT_RETURN_IF_ERROR(pipeline->verify(0));  // names and shapes
    const ModelFolder& m = pipeline->model();
    const TransformerConfig& t = m.transformer_config;
    out["name"] = m.variant ? m.variant->name : model, out["path"] = root;
    if (const auto& v = m.variant) {
      out["about"] = v->about, out["base"] = v->base, out["delta"] = v->delta, out["rank"] = v->rank, out["alpha"] = v->alpha;
      if (v->boundary_ratio) out["boundary_ratio"] = *v->boundary_ratio;
      out["delta_bytes"] = pipeline->delta()->file().bytes();
      out["matrices_changed"] = pipeline->delta()->pairs().size(), out["tensors_added"] = pipeline->delta()->whole().size();
    }
    out["layers"] = t.layers, out["heads"] = t.heads, out["width"] = t.dim(), out["transformer_parameters"] = t.parameters();
    ZT_ASSIGN_OR_RETURN(out["projection"], pipeline->has_projection());
    for (const char* name : {"size", "frames", "fps", "steps", "cfg_scale", "sampler", "sigmas", "attn"})
      out["defaults"][name] = field_value(defaults, *find_field(name));
    return {};
  };
  if (Status s = look(); !s.ok()) return print_status(s);
  std::string text;
  auto line = [&](const std::string& key, const nlohmann::ordered_json& value) {
    std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
    if (!shown.empty()) text += fmt::format("{:24} {}\n", key, shown);
  };
  for (const auto& [key, value] : out.items()) {
    if (!value.is_object()) line(key, value);
  }
  for (const auto& [key, value] : out["defaults"].items()) line("default " + key, value);
  json ? print_json(out) : print_result(text);
  return 0;
}

}  // namespace

std::function<int()> setup_models(CLI::App& app) {
  struct Options {
    std::vector<std::string> folders;
    std::string model = "mini";
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  app.require_subcommand(0, 1);
  CLI::App* listed = app.add_subcommand("list", "the embedded model, its variants, and what the folders named hold");
  listed->add_option("folder", o->folders, "folders to look into");
  CLI::App* verified = app.add_subcommand("verify", "read every byte of a model: names, shapes, values");
  CLI::App* shown = app.add_subcommand("show", "a model's size and defaults; of a variant its base and what its delta changes");
  for (CLI::App* a : {verified, shown}) a->add_option("model", o->model, "model folder, or the name of an embedded one");
  for (CLI::App* a : {&app, listed, verified, shown}) a->add_flag("--json", o->json, "print JSON");
  return [o, verified, shown] {
    if (shown->parsed()) return show(o->model, o->json);
    return verified->parsed() ? verify(o->model, o->json) : list(o->folders, o->json);
  };
}

}  // namespace zt
