// Which of several workers on one folder does a job: a hidden file beside the job's output, held open and locked as long as the
// work goes on. The lock goes with the process, however it ends; where a file system has no locks, or the other worker sits on
// another machine, its host, process and heartbeat (the file's time) decide.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "kernels/core/status.h"

namespace zt {

std::string claim_path(const std::string& output);

class Claim {
 public:
  // Nothing when another worker has it. kFailed when the place cannot be written.
  static Result<std::optional<Claim>> take(const std::string& path);
  Claim(Claim&& o) noexcept;
  Claim& operator=(Claim&& o) noexcept;
  Claim(const Claim&) = delete;
  ~Claim();  // gives it up: the file goes
  // Says that the work goes on; call it more often than kBeat.
  void beat();

  static constexpr std::chrono::seconds kBeat{5}, kStale{60};

 private:
  Claim(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  void release();
  int fd_ = -1;
  std::string path_;
};

}  // namespace zt
