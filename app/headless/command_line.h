// Arguments to exit code.
#pragma once

namespace zt {

int run_command_line(int argc, char** argv);

}  // namespace zt
