#include "app/engine/claim.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "app/engine/checkpoint.h"
#include "app/media/output_file.h"

namespace zt {
namespace {

constexpr size_t kTagBytes = 200;

// The owner's tag as the file has it; empty for a file just made.
std::string read_tag(int fd) {
  std::string tag(kTagBytes, '\0');
  ssize_t n = pread(fd, tag.data(), tag.size(), 0);
  tag.resize(n > 0 ? size_t(n) : 0);
  return tag.substr(0, tag.find('\n'));
}

// Whether another machine's claim has stopped beating, both times taken from the file system's own clock.
bool beats_no_more(int fd, const std::string& path) {
  struct stat claim, now;
  auto probe = PendingFile::create(path, true);
  if (!probe.ok() || stat(probe->temporary().c_str(), &now) != 0 || fstat(fd, &claim) != 0) return false;
  return now.st_mtime - claim.st_mtime > Claim::kStale.count();
}

bool still_there(int fd, const std::string& path) {
  struct stat open_file, named;
  return fstat(fd, &open_file) == 0 && stat(path.c_str(), &named) == 0 && open_file.st_ino == named.st_ino &&
         open_file.st_dev == named.st_dev;
}

}  // namespace

std::string claim_path(const std::string& output) {
  std::string path = checkpoint_path(output);
  return path.substr(0, path.rfind('.')) + ".claim";
}

Result<std::optional<Claim>> Claim::take(const std::string& path) {
  constexpr int kTries = 100;  // each of them means that another worker gave the file up in between
  for (int i = 0; i < kTries; ++i) {
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return failed("{}: cannot be written: {}", path, std::strerror(errno));
    Claim claim(fd, "");  // without a name: closing it must not remove another worker's file
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return std::optional<Claim>();
    if (!still_there(fd, path)) continue;
    std::string tag = read_tag(fd);
    TagState owner = tag.empty() ? TagState::dead : tag_state(tag);
    // Locked by nobody and yet alive: a file system without locks. Our own tag is a claim this process holds already.
    if (owner == TagState::alive) return std::optional<Claim>();
    if (owner == TagState::elsewhere && !beats_no_more(fd, path)) return std::optional<Claim>();
    std::string line = process_tag() + "\n";
    if (ftruncate(fd, 0) != 0 || pwrite(fd, line.data(), line.size(), 0) != ssize_t(line.size()))
      return failed("{}: cannot be written: {}", path, std::strerror(errno));
    claim.path_ = path;
    return std::optional<Claim>(std::move(claim));
  }
  return std::optional<Claim>();
}

Claim::Claim(Claim&& o) noexcept : fd_(std::exchange(o.fd_, -1)), path_(std::move(o.path_)) {}

Claim& Claim::operator=(Claim&& o) noexcept {
  if (this != &o) {
    release();
    fd_ = std::exchange(o.fd_, -1), path_ = std::move(o.path_);
  }
  return *this;
}

Claim::~Claim() { release(); }

void Claim::release() {
  if (fd_ < 0) return;
  if (!path_.empty()) unlink(path_.c_str());
  close(std::exchange(fd_, -1));
}

void Claim::beat() { futimens(fd_, nullptr); }

}  // namespace zt
