#include "app/engine/places.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "model/config/variant.h"

namespace zt {
namespace {

std::string variants_folder(const JobPlaces& places) { return places.assets + "/" + JobSpec().model + "/variants"; }

}  // namespace

JobPlaces find_places() {
  namespace fs = std::filesystem;
  JobPlaces places;
  places.version = ZT_VERSION;
  if (const char* named = std::getenv("ZOETROPE_ASSETS"); named && *named) {
    places.assets = named;
    return places;
  }
  std::error_code error;
  fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* relative : {"../../assets", "../share/zoetrope"}) {
    fs::path candidate = (here / relative).lexically_normal();
    if (fs::is_directory(candidate / "mini", error)) {
      places.assets = candidate.string();
      break;
    }
  }
  return places;
}

std::vector<std::string> embedded_models(const JobPlaces& places) {
  namespace fs = std::filesystem;
  if (places.assets.empty()) return {};
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& e : fs::directory_iterator(variants_folder(places), error)) {
    if (is_variant(e.path().string())) names.push_back(e.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  names.insert(names.begin(), JobSpec().model);
  return names;
}

std::string embedded_folder(const std::string& name, const JobPlaces& places) {
  if (places.assets.empty() || name.empty()) return {};
  if (name == JobSpec().model) return places.assets + "/" + name;
  std::string folder = variants_folder(places) + "/" + name;
  bool plain = !name.starts_with('.') && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  return plain && is_variant(folder) ? folder : "";
}

}  // namespace zt
