#include "app/desktop/kept_files.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace zt {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::string state_folder() {
  std::string named = from_environment("XDG_STATE_HOME"), home = from_environment("HOME");
  if (!named.empty()) return named + "/zoetrope";
  return home.empty() ? "" : home + "/.local/state/zoetrope";
}

std::string default_output_folder() {
  std::string home = from_environment("HOME");
  return home.empty() ? "zoetrope-clips" : home + "/Videos/zoetrope";
}

WindowState read_kept(const std::string& folder, Problem& problem) {
  WindowState state;
  std::ifstream f(folder + "/window.json", std::ios::binary);
  if (folder.empty() || !f) return state;
  std::string text{std::istreambuf_iterator<char>(f), {}};
  problem = read_window_state(text, state);
  return state;
}

std::vector<std::string> example_prompts(const std::string& assets) {
  std::vector<std::string> prompts;
  std::ifstream f(assets + "/prompts/mini.txt");
  for (std::string line; std::getline(f, line);) {
    if (!line.empty()) prompts.push_back(line);
  }
  return prompts;
}

}  // namespace zt
