// The one place where bytes of an output reach the disk, so that a test can let any of them fail.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kernels/core/status.h"

namespace zt {

// Fault injection: the n-th call to the system that could fail for lack of space fails with it. Opening, writing, syncing and
// renaming each count as one.
class WriteFaults {
 public:
  void fail_at(int64_t n) { left_ = n, hit_ = false; }  // n = 0: the next one; < 0: never
  bool hit() const { return hit_; }
  // Counts one call; true when it is the one to fail. errno is then set.
  bool next();

 private:
  std::atomic<int64_t> left_{-1};
  std::atomic<bool> hit_{false};
};

// An open file, unbuffered. Errors name `name`, which the user knows, and not the temporary file behind it.
class OutputStream {
 public:
  // `path` exists; what is in it goes.
  static Result<OutputStream> open(const std::string& path, const std::string& name, WriteFaults* faults);
  OutputStream(OutputStream&& o) noexcept;
  OutputStream& operator=(OutputStream&&) = delete;
  OutputStream(const OutputStream&) = delete;
  ~OutputStream();  // closes; what close() would have said is lost

  Status write(const void* data, size_t bytes);
  // The new position from the start, or an error. `whence` as of lseek.
  Result<int64_t> seek(int64_t offset, int whence);
  int64_t size() const;  // negative = unknown
  Status close();

 private:
  OutputStream(int fd, std::string name, WriteFaults* faults) : fd_(fd), name_(std::move(name)), faults_(faults) {}
  int fd_;
  std::string name_;
  WriteFaults* faults_;
};

}  // namespace zt
