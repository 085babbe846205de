// What a broken kernel must not survive: small attention calls that force the rare cases, on the host-executed device, against the
// double-precision twin.
#pragma once

#include <string>

namespace zt::testing {

// The first thing that goes wrong: a fault's name, "numbers" or "waves" (bank conflicts), and a line about it after a colon;
// "nothing" if all is right. Kernels are those that find_forward and move_rows of the program give.
std::string first_fault();

}  // namespace zt::testing
