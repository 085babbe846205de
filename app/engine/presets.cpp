#include "app/engine/presets.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "app/session/job_text.h"

namespace zt {
namespace {

Result<Preset> read_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(f), {}};
  Preset preset;
  if (Problem p = read_preset(text, preset); !p.empty()) return failed("{}: {}", path, p);
  return preset;
}

}  // namespace

Result<std::optional<Preset>> find_preset(const std::string& model, const JobPlaces& places) {
  namespace fs = std::filesystem;
  std::error_code error;
  const std::string folder = places.assets + "/presets";
  if (model == JobSpec().model) {
    std::string own = folder + "/" + model + ".toml";
    if (!fs::exists(own, error)) return std::optional<Preset>();
    ZT_ASSIGN_OR_RETURN(Preset preset, read_file(own));
    return std::optional<Preset>(std::move(preset));
  }
  auto opened = open_model_folder(model);
  if (!opened.ok()) return std::optional<Preset>();
  const TransformerConfig& t = opened->transformer_config;
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

Status apply_preset(JobSpec& spec, const std::set<std::string>& given, const JobPlaces& places) {
  ZT_ASSIGN_OR_RETURN(std::optional<Preset> preset, find_preset(spec.model, places));
  if (!preset) return ok_status();
  nlohmann::json wanted = nlohmann::json::object();
  for (const auto& [key, value] : preset->defaults.items()) {
    bool by_seconds = key == "frames" && given.count("seconds");
    if (!given.count(key) && !by_seconds) wanted[key] = value;
  }
  Problem p = apply_keys(wanted, spec);
  return p.empty() ? ok_status() : failed("preset: {}", p);
}

}  // namespace zt
