// Runs the real program and looks at what it did.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/app/temp_folder.h"

namespace zt::testing {

struct Finished {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
  int64_t peak_mb = 0;  // resident memory
  double cpu_s = 0;
};

// One run of build/bin/zoetrope, started in `folder`.
class Program {
 public:
  // name: tells programs apart that run at the same time.
  Program(const TempFolder& folder, std::vector<std::string> args, const std::vector<std::string>& environment = {},
          const std::string& name = "")
      : out_(folder.path() + name + ".out"), err_(folder.path() + name + ".err") {
    args.insert(args.begin(), ZT_BIN_DIR "/zoetrope");
    pid_ = fork();
    if (pid_ != 0) return;
    bool good = chdir(folder.path().c_str()) == 0 && freopen(out_.c_str(), "w", stdout) && freopen(err_.c_str(), "w", stderr);
    for (const std::string& e : environment) good = putenv(const_cast<char*>(e.c_str())) == 0 && good;
    std::vector<char*> argv;
    for (std::string& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    if (good) execv(argv[0], argv.data());
    _exit(127);
  }
  void signal(int number) const { kill(pid_, number); }
  Finished wait() {
    int status = 0;
    rusage used{};
    wait4(pid_, &status, 0, &used);
    Finished f{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_all(out_), read_all(err_), used.ru_maxrss / 1024,
               double(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + double(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6};
    unlink(out_.c_str());
    unlink(err_.c_str());
    return f;
  }
  // Processor time it has used so far: how long it works, whatever else this machine is doing.
  double cpu_s() const {
    std::ifstream f("/proc/" + std::to_string(pid_) + "/stat");
    std::string text((std::istreambuf_iterator<char>(f)), {}), word;
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    double ticks = 0;
    for (int i = 3; i <= 15 && fields >> word; ++i) ticks += i >= 14 ? std::stod(word) : 0;  // utime, stime
    return ticks / double(sysconf(_SC_CLK_TCK));
  }
  std::string printed() const { return read_all(out_); }
  // What it has said on standard error so far.
  std::string said() const { return read_all(err_); }

 private:
  std::string out_, err_;
  pid_t pid_;
};

inline Finished run(const TempFolder& folder, const std::vector<std::string>& args,
                    const std::vector<std::string>& environment = {}) {
  return Program(folder, args, environment).wait();
}

}  // namespace zt::testing
