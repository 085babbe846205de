// The registry of attention methods as plain values, for clients that may not know the model.
#pragma once

#include <vector>

#include "app/session/method_info.h"

namespace zt {

std::vector<MethodInfo> method_infos();

}  // namespace zt
