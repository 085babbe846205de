// A screen without a monitor, and runs of the real window on it.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/app/temp_folder.h"

namespace zt::ui::testing {

// Xvfb on a display number of its own choice.
class Screen {
 public:
  Screen() {
    int ends[2];
    if (pipe(ends) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      std::string end = std::to_string(ends[1]);
      close(ends[0]);
      if (!freopen("/dev/null", "w", stderr)) _exit(127);
      execlp("Xvfb", "Xvfb", "-displayfd", end.c_str(), "-screen", "0", "1600x1000x24", "-nolisten", "tcp", nullptr);
      _exit(127);
    }
    close(ends[1]);
    char c = 0;
    while (read(ends[0], &c, 1) == 1 && c != '\n') number_ += c;
    close(ends[0]);
  }
  ~Screen() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  bool works() const { return !number_.empty(); }
  std::string display() const { return ":" + number_; }

 private:
  pid_t pid_ = -1;
  std::string number_;
};

struct Ended {
  int code = -1;
  std::string err;
};

// build/bin/zoetrope-desktop with `folder` as its home; `display` may be empty. Ends it after two minutes.
inline Ended run_window(const zt::testing::TempFolder& folder, const std::string& display, std::vector<std::string> args,
                        const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  std::string err = folder.path() + ".err";
  args.insert(args.begin(), ZT_BIN_DIR "/zoetrope-desktop");
  pid_t pid = fork();
  if (pid == 0) {
    bool good = chdir(folder.path().c_str()) == 0 && freopen(err.c_str(), "w", stderr);
    setenv("HOME", folder.path().c_str(), 1);
    setenv("XDG_STATE_HOME", (folder / "state").c_str(), 1);
    setenv("LIBGL_ALWAYS_SOFTWARE", "1", 1);
    unsetenv("WAYLAND_DISPLAY");
    display.empty() ? unsetenv("DISPLAY") : setenv("DISPLAY", display.c_str(), 1);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> argv;
    for (std::string& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    if (good) execv(argv[0], argv.data());
    _exit(127);
  }
  constexpr auto kLimit = std::chrono::seconds(120);
  auto begin = std::chrono::steady_clock::now();
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() - begin > kLimit) kill(pid, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  Ended e{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), zt::testing::read_all(err)};
  unlink(err.c_str());
  return e;
}

}  // namespace zt::ui::testing
