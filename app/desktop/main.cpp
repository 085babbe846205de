#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "app/desktop/desktop.h"
#include "app/engine/process.h"

namespace {

constexpr const char* kHelp =
    "zoetrope-desktop: the window of Zoetrope\n\n"
    "  --script FILE      play a file of verbs: set FIELD VALUE, press NAME, wait done|SECONDS, open PANEL, screenshot F, quit\n"
    "  --screenshot FILE  draw the window with sample data, write it as PNG, leave\n"
    "  --size WxH         of the window, instead of the last one\n"
    "  --measure          draw without pause and say how fast, at the end\n"
    "  --version, --help\n";

int usage(const std::string& line) {
  std::fprintf(stderr, "zoetrope-desktop: %s (--help lists the flags)\n", line.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) try {
  zt::DesktopOptions options;
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    bool more = i + 1 < argc;
    if (flag == "--help" || flag == "-h") return std::fputs(kHelp, stdout), 0;
    if (flag == "--version") return std::puts("zoetrope-desktop " ZT_VERSION), 0;
    if (flag == "--measure") {
      options.measure = true;
    } else if (flag == "--script" && more) {
      options.script = argv[++i];
    } else if (flag == "--screenshot" && more) {
      options.screenshot = argv[++i];
    } else if (flag == "--size" && more) {
      if (std::sscanf(argv[++i], "%dx%d", &options.width, &options.height) != 2 || options.width < 1 || options.height < 1)
        return usage("--size takes WIDTHxHEIGHT");
    } else {
      return usage("unknown flag or missing value: " + std::string(flag));
    }
  }
  zt::restart_with_short_spins(argv);
  zt::give_memory_back();
  zt::quiet_libraries();
  return zt::run_desktop(options);
} catch (const std::exception& e) {
  std::fprintf(stderr, "zoetrope-desktop: internal error: %s\n", e.what());
  return 1;
}
