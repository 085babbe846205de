// SHA-256 (FIPS 180-4), for the hash of a job's settings.
#pragma once

#include <string>
#include <string_view>

namespace zt {

std::string sha256_hex(std::string_view bytes);  // 64 lower-case digits

}  // namespace zt
