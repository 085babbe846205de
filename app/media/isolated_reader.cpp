#include "app/media/isolated_reader.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <vector>

namespace zt {
namespace {

// What goes through the socket: messages of a kind, a length and that many bytes.
enum class Kind : uint32_t { info, frame, end, error };
struct Head {
  Kind kind;
  uint32_t bytes;
};
constexpr uint32_t kMaxText = 4 << 20;  // settings in a comment are at most 1 MiB

bool send_all(int fd, const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t n = send(fd, at, bytes, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n, bytes -= size_t(n);
  }
  return true;
}

bool receive_all(int fd, void* data, size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    ssize_t n = recv(fd, at, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n, bytes -= size_t(n);
  }
  return true;
}

bool send_message(int fd, Kind kind, const void* data, size_t bytes) {
  Head head{kind, uint32_t(bytes)};
  return send_all(fd, &head, sizeof head) && send_all(fd, data, bytes);
}

// Lines in a fixed order; the comment, which may hold anything, comes last.
std::string pack(const ClipInfo& i) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", i.width, i.height, i.fps, i.container, i.codec, i.pix_fmt, i.matrix,
                     i.primaries, i.transfer, i.range, i.comment);
}

bool unpack(std::string_view text, ClipInfo& i) {
  std::string width, height, fps;
  for (std::string* field : {&width, &height, &fps, &i.container, &i.codec, &i.pix_fmt, &i.matrix, &i.primaries, &i.transfer, &i.range}) {
    size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    *field = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  i.comment = text;
  i.width = std::atoll(width.c_str()), i.height = std::atoll(height.c_str()), i.fps = std::atof(fps.c_str());
  return i.width > 0 && i.height > 0 && i.width <= ClipReader::kMaxSide && i.height <= ClipReader::kMaxSide &&
         i.width * i.height <= ClipReader::kMaxPixels;
}

void set_limit(int what, uint64_t value) {
  rlimit l{value, value};
  setrlimit(what, &l);
}

void restrict_child(const ReaderLimits& limits) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int s : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(s, SIG_DFL);
  set_limit(RLIMIT_CORE, 0);
  set_limit(RLIMIT_FSIZE, 0);
  set_limit(RLIMIT_CPU, limits.cpu_seconds);
#ifndef __SANITIZE_ADDRESS__  // its shadow memory alone is terabytes of address space
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  set_limit(RLIMIT_AS, pages * uint64_t(sysconf(_SC_PAGESIZE)) + limits.memory_bytes);
#endif
}

void child(int fd, const std::string& path, const ReaderLimits& limits) {
  restrict_child(limits);
  auto error = [fd](const Status& s) { send_message(fd, Kind::error, s.message().data(), s.message().size()); };
  auto reader = ClipReader::open(path);
  if (!reader.ok()) return error(reader.status());
  const ClipInfo& info = (*reader)->info();
  std::string text = pack(info);
  if (text.size() > kMaxText) return error(invalid("{}: its comment is longer than {} bytes", path, kMaxText));
  if (!send_message(fd, Kind::info, text.data(), text.size())) return;
  std::vector<uint8_t> rgb(size_t(info.width * info.height * 3));
  for (int64_t n = 0; n < limits.frames; ++n) {
    auto more = (*reader)->next(rgb.data());
    if (!more.ok()) return error(more.status());
    if (!*more) break;
    if (!send_message(fd, Kind::frame, rgb.data(), rgb.size())) return;
  }
  send_message(fd, Kind::end, nullptr, 0);
}

class IsolatedReader final : public ClipReader {
 public:
  IsolatedReader(std::string path, int fd, pid_t pid) : path_(std::move(path)), fd_(fd), pid_(pid) {}
  ~IsolatedReader() override {
    close(fd_);
    if (pid_ > 0) kill(pid_, SIGKILL), reap();
  }

  Status begin() {
    std::string text;
    ZT_ASSIGN_OR_RETURN(Kind kind, receive_text(text));
    if (kind != Kind::info || !unpack(text, info_)) return invalid("{}: the reader made no sense of it", path_);
    return ok_status();
  }
  const ClipInfo& info() const override { return info_; }

  Result<bool> next(uint8_t* rgb) override {
    if (ended_) return false;
    Head head;
    if (!receive_all(fd_, &head, sizeof head)) return died();
    size_t frame = size_t(info_.width * info_.height * 3);
    if (head.kind == Kind::frame && head.bytes == frame) {
      if (!receive_all(fd_, rgb, frame)) return died();
      return true;
    }
    if (head.kind == Kind::error) {
      std::string text;
      ZT_RETURN_IF_ERROR(receive_body(head, text));
      return invalid("{}", text);
    }
    ended_ = true;
    return false;
  }

 private:
  Result<Kind> receive_text(std::string& text) {
    Head head;
    if (!receive_all(fd_, &head, sizeof head)) return died();
    ZT_RETURN_IF_ERROR(receive_body(head, text));
    if (head.kind == Kind::error) return invalid("{}", text);
    return head.kind;
  }
  Status receive_body(const Head& head, std::string& text) {
    if (head.bytes > kMaxText) return invalid("{}: the reader's answer makes no sense", path_);
    text.resize(head.bytes);
    return receive_all(fd_, text.data(), text.size()) ? ok_status() : died();
  }
  int reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }
  Status died() {
    int status = pid_ > 0 ? reap() : 0;
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
      return invalid("{}: reading it took more time than is allowed", path_);
    if (WIFSIGNALED(status)) return invalid("{}: reading it ended with signal {}; the file is damaged", path_, WTERMSIG(status));
    return invalid("{}: reading it ended early; it may want more memory than is allowed", path_);
  }

  std::string path_;
  int fd_;
  pid_t pid_;
  ClipInfo info_;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<ClipReader>> open_isolated(const std::string& path, const ReaderLimits& limits) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return failed("{}: no socket for its reader: {}", path, std::strerror(errno));
  pid_t pid = fork();
  if (pid < 0) {
    close(fds[0]), close(fds[1]);
    return failed("{}: no process for its reader: {}", path, std::strerror(errno));
  }
  if (pid == 0) {
    close(fds[0]);
    try {
      child(fds[1], path, limits);
    } catch (...) {  // memory: the parent sees the end of the stream
    }
    _exit(0);  // nothing of the parent's is flushed or destroyed here
  }
  close(fds[1]);
  auto reader = std::make_unique<IsolatedReader>(path, fds[0], pid);
  ZT_RETURN_IF_ERROR(reader->begin());
  return std::unique_ptr<ClipReader>(std::move(reader));
}

}  // namespace zt
