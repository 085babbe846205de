#include "app/engine/presets.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "app/engine/places.h"
#include "app/session/job_text.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

Result<Preset> read_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(f), {}};
  Preset preset;
  if (Problem p = read_preset(text, preset); !p.empty()) return failed("{}: {}", path, p);
  return preset;
}

// The file of the embedded model.
Result<std::optional<Preset>> embedded_preset(const std::string& folder) {
  std::error_code error;
  std::string own = folder + "/" + JobSpec().model + ".toml";
  if (!std::filesystem::exists(own, error)) return std::optional<Preset>();
  ZT_ASSIGN_OR_RETURN(Preset preset, read_file(own));
  return std::optional<Preset>(std::move(preset));
}

// The one for transformers of this shape.
Result<std::optional<Preset>> preset_by_shape(const std::string& folder, const TransformerConfig& t) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& e : fs::directory_iterator(folder, error)) {
    if (e.path().extension() == ".toml") files.push_back(e.path().string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    ZT_ASSIGN_OR_RETURN(Preset preset, read_file(file));
    if (preset.layers == t.layers && preset.dim == t.dim()) return std::optional<Preset>(std::move(preset));
  }
  return std::optional<Preset>();
}

// A variant's defaults over its base's.
Status add_defaults(const Variant& v, nlohmann::json& defaults) {
  if (v.attn) {
    auto method = make_policy(*v.attn);
    if (!method.ok()) return bad_model("{}: defaults: attn: {}", v.file, method.status().message());
    defaults["attn"] = *v.attn;
  }
  if (v.sampler) defaults["sampler"] = *v.sampler;
  if (v.guidance) defaults["cfg_scale"] = *v.guidance;
  if (v.steps) defaults["steps"] = *v.steps;
  if (!v.sigmas.empty()) {
    defaults["sigmas"] = fmt::format("{}", fmt::join(v.sigmas, ",")), defaults["steps"] = v.sigmas.size();
    defaults.erase("flow_shift");
  }
  return {};
}

}  // namespace

Result<std::optional<Preset>> find_preset(const std::string& model, const JobPlaces& places) {
  const std::string folder = places.assets + "/presets";
  if (model == JobSpec().model) return embedded_preset(folder);
  auto root = model_root(model, places);
  auto opened = root.ok() ? open_model_folder(*root) : Result<ModelFolder>(root.status());
  if (!opened.ok()) return std::optional<Preset>();
  const std::optional<Variant>& variant = opened->variant;
  std::error_code error;
  bool embedded = std::filesystem::equivalent(variant ? variant->base : *root, embedded_folder(JobSpec().model, places), error);
  ZT_ASSIGN_OR_RETURN(std::optional<Preset> preset,
                      embedded ? embedded_preset(folder) : preset_by_shape(folder, opened->transformer_config));
  if (!variant) return preset;
  if (!preset) preset.emplace();
  ZT_RETURN_IF_ERROR(add_defaults(*variant, preset->defaults));
  return preset;
}

Status apply_preset(JobSpec& spec, const std::set<std::string>& given, const JobPlaces& places) {
  ZT_ASSIGN_OR_RETURN(std::optional<Preset> preset, find_preset(spec.model, places));
  nlohmann::json wanted = nlohmann::json::object();
  const nlohmann::json defaults = preset ? preset->defaults : nlohmann::json::object();
  for (const auto& [key, value] : defaults.items()) {
    bool by_seconds = key == "frames" && given.count("seconds");
    if (!given.count(key) && !by_seconds) wanted[key] = value;
  }
  if (Problem p = apply_keys(wanted, spec); !p.empty()) return failed("preset: {}", p);
  if (wanted.contains("sigmas")) {
    bool other_steps = given.count("steps") && spec.steps != int64_t(spec.sigmas.size());
    if (other_steps || (given.count("flow_shift") && spec.flow_shift > 0)) spec.sigmas.clear();
  }
  Problem p = settle_sigmas(spec, given);
  return p.empty() ? ok_status() : invalid("{}", p);
}

}  // namespace zt
