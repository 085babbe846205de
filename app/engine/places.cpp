#include "app/engine/places.h"

#include <cstdlib>
#include <filesystem>

namespace zt {

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

}  // namespace zt
