// Where the window keeps what it remembers, and where clips go.
#pragma once

#include <string>
#include <vector>

#include "app/session/window_state.h"

namespace zt {

// $XDG_STATE_HOME/zoetrope, else ~/.local/state/zoetrope; empty when there is no home.
std::string state_folder();
// ~/Videos/zoetrope; a folder here when there is no home.
std::string default_output_folder();

// Defaults when there is nothing, or nothing readable; then `problem` says so.
WindowState read_kept(const std::string& folder, Problem& problem);

// The lines of assets/prompts/mini.txt; none when there is no such file, for the window works without.
std::vector<std::string> example_prompts(const std::string& assets);

}  // namespace zt
