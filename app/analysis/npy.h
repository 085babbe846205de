// Arrays for other programs: NumPy's .npy, version 1.0.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

// Bytes in row-major order; the name appears with the last byte and replaces a file of that name.
Status write_npy(const std::string& path, std::span<const uint8_t> data, const std::vector<int64_t>& shape);

}  // namespace zt
