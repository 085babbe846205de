// Where the program finds what came with it.
#pragma once

#include "app/engine/job_check.h"

namespace zt {

// assets: ZOETROPE_ASSETS, else ../../assets or ../share/zoetrope from the executable; never from the current folder.
// Empty when there are none.
JobPlaces find_places();

}  // namespace zt
