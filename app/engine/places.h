// Where the program finds what came with it.
#pragma once

#include <string>
#include <vector>

#include "app/engine/job_check.h"

namespace zt {

// assets: ZOETROPE_ASSETS, else ../../assets or ../share/zoetrope from the executable; never from the current folder.
// Empty when there are none.
JobPlaces find_places();

// Names of the models that came with the program: the embedded one, then its variants (folders of mini/variants) by name.
std::vector<std::string> embedded_models(const JobPlaces& places);
// Folder of one of them; empty for any other name.
std::string embedded_folder(const std::string& name, const JobPlaces& places);

}  // namespace zt
