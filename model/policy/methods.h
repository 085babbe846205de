// One line a method: how the table makes it.
#pragma once

#include <memory>

#include "model/dit/attend.h"

namespace zt {

std::shared_ptr<AttentionPolicy> make_dense();

}  // namespace zt
