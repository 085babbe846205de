#include "app/media/output_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace zt {

bool WriteFaults::next() {
  if (left_ < 0 || left_-- != 0) return false;
  hit_ = true;
  errno = ENOSPC;
  return true;
}

Result<OutputStream> OutputStream::open(const std::string& path, const std::string& name, WriteFaults* faults) {
  bool fault = faults && faults->next();
  int fd = fault ? -1 : ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return failed("{}: cannot be written: {}", name, std::strerror(errno));
  return OutputStream(fd, name, faults);
}

OutputStream::OutputStream(OutputStream&& o) noexcept
    : fd_(std::exchange(o.fd_, -1)), name_(std::move(o.name_)), faults_(o.faults_) {}

OutputStream::~OutputStream() {
  if (fd_ >= 0) ::close(fd_);
}

Status OutputStream::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    bool fault = faults_ && faults_->next();
    ssize_t n = fault ? -1 : ::write(fd_, at, std::min(bytes, size_t(1) << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("{}: cannot write: {}", name_, std::strerror(errno));
    at += n, bytes -= size_t(n);
  }
  return ok_status();
}

Result<int64_t> OutputStream::seek(int64_t offset, int whence) {
  off_t at = lseek(fd_, offset, whence);
  if (at < 0) return failed("{}: cannot seek: {}", name_, std::strerror(errno));
  return int64_t(at);
}

int64_t OutputStream::size() const {
  struct stat st;
  return fstat(fd_, &st) == 0 ? int64_t(st.st_size) : -1;
}

Status OutputStream::close() {
  // Some file systems report a full disk only here.
  int rc = ::close(std::exchange(fd_, -1));
  return rc == 0 ? ok_status() : failed("{}: cannot write: {}", name_, std::strerror(errno));
}

}  // namespace zt
