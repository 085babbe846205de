#include "app/media/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

namespace zt {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".zt-";  // .<stem>.zt-<machine>-<pid>-<start>-<n>

std::string reason() { return std::strerror(errno); }

// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); empty when there is no such process.
std::string process_start(const std::string& pid) {
  std::ifstream f("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(f, line)) return {};
  size_t name_end = line.rfind(')');  // the name may hold spaces and brackets
  if (name_end == std::string::npos) return {};
  constexpr int kFieldsFromState = 20;  // state is field 3
  size_t at = name_end + 1;
  std::string field;
  for (int i = 0; i < kFieldsFromState && at != std::string::npos; ++i) {
    size_t begin = line.find_first_not_of(' ', at);
    at = begin == std::string::npos ? begin : line.find(' ', begin);
    field = begin == std::string::npos ? std::string() : line.substr(begin, at - begin);
  }
  return field;
}

// Process numbers mean something only inside one boot of one machine and one process namespace.
std::string machine_id() {
  std::string id;
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  std::getline(boot, id);
  std::error_code error;
  id += fs::read_symlink("/proc/self/ns/pid", error).string();
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (char c : id) hash = (hash ^ uint8_t(c)) * 0x100000001b3u;
  return fmt::format("{:08x}", uint32_t(hash ^ hash >> 32));
}

// Whether `name` is a temporary name of this machine whose owner is gone.
bool is_stale(const std::string& name) {
  size_t mark = name.rfind(kMark), number = name.rfind('-');
  if (!name.starts_with('.') || mark == std::string::npos || number < mark + kMark.size()) return false;
  return tag_state(name.substr(mark + kMark.size(), number - mark - kMark.size())) == TagState::dead;
}

Status sync_folder(const std::string& folder) {
  int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("{}: cannot open the folder: {}", folder, reason());
  int rc = fsync(fd);
  std::string why = reason();
  close(fd);
  // Some network file systems cannot sync a folder; the rename itself is still atomic there.
  if (rc != 0 && errno != EINVAL) return failed("{}: cannot sync the folder: {}", folder, why);
  return ok_status();
}

}  // namespace

std::string process_tag() {
  std::string pid = std::to_string(getpid());
  return machine_id() + "-" + pid + "-" + process_start(pid);
}

TagState tag_state(const std::string& tag) {
  size_t first = tag.find('-'), second = tag.rfind('-');
  if (first == std::string::npos || second == first || tag.substr(0, first) != machine_id()) return TagState::elsewhere;
  std::string pid = tag.substr(first + 1, second - first - 1);
  int number = 0;
  auto [end, error] = std::from_chars(pid.data(), pid.data() + pid.size(), number);
  if (error != std::errc() || *end != '\0' || number <= 0) return TagState::elsewhere;
  return process_start(pid) == tag.substr(second + 1) ? TagState::alive : TagState::dead;
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string stem_of(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

Status check_output(const std::string& path, bool replace) {
  std::string folder = folder_of(path);
  struct stat st;
  if (stat(folder.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return invalid("{}: the folder {} does not exist", path, folder);
  if (path.ends_with('/')) return invalid("{}: a file name is wanted", path);
  if (stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return invalid("{}: is a folder", path);
    if (!S_ISREG(st.st_mode)) return invalid("{}: is not a regular file", path);
    if (!replace) return invalid("{}: exists already (--overwrite replaces it)", path);
  }
  return ok_status();
}

Result<PendingFile> PendingFile::create(const std::string& path, bool replace, bool folder, WriteFaults* faults) {
  constexpr size_t kStemBytes = 120;  // leaves room for the mark in a name of at most 255 bytes
  std::string stem = stem_of(path).substr(0, kStemBytes), tail = process_tag();
  if (stem.starts_with('.')) stem.erase(0, 1);
  for (int n = 0;; ++n) {
    std::string temporary = fmt::format("{}/.{}{}{}-{}", folder_of(path), stem, kMark, tail, n);
    int rc = 0;
    if (faults && faults->next()) {
      rc = -1;
    } else if (folder) {
      rc = mkdir(temporary.c_str(), 0777);
    } else {
      rc = ::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
      if (rc >= 0) close(rc);
    }
    if (rc >= 0) return PendingFile(path, temporary, replace, faults);
    if (errno != EEXIST) return invalid("{}: cannot write here: {}", path, reason());
  }
}

PendingFile::PendingFile(PendingFile&& o) noexcept { *this = std::move(o); }

PendingFile& PendingFile::operator=(PendingFile&& o) noexcept {
  if (this != &o) {
    discard();
    path_ = std::move(o.path_), temporary_ = std::move(o.temporary_), replace_ = o.replace_, faults_ = o.faults_;
    o.temporary_.clear();
  }
  return *this;
}

PendingFile::~PendingFile() { discard(); }

void PendingFile::discard() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  temporary_.clear();
}

Status PendingFile::commit(bool sync) {
  if (sync) ZT_RETURN_IF_ERROR(sync_file(temporary_, faults_));
  if (faults_ && faults_->next()) return failed("{}: cannot give the file its name: {}", path_, reason());
  constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE
  long rc = replace_ ? std::rename(temporary_.c_str(), path_.c_str())
                     : syscall(SYS_renameat2, AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), kNoReplace);
  if (rc != 0 && !replace_ && errno == EINVAL) {  // a file system without the flag
    if (access(path_.c_str(), F_OK) == 0) return failed("{}: appeared while the job ran; not replaced", path_);
    rc = std::rename(temporary_.c_str(), path_.c_str());
  }
  if (rc != 0 && errno == EEXIST) return failed("{}: appeared while the job ran; not replaced", path_);
  if (rc != 0) return failed("{}: cannot give the file its name: {}", path_, reason());
  temporary_.clear();
  return sync ? sync_folder(folder_of(path_)) : ok_status();
}

Status write_text(const PendingFile& file, std::string_view text) {
  ZT_ASSIGN_OR_RETURN(OutputStream out, file.open());
  ZT_RETURN_IF_ERROR(out.write(text.data(), text.size()));
  return out.close();
}

Status sync_file(const std::string& path, WriteFaults* faults) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("{}: {}", path, reason());
  int rc = faults && faults->next() ? -1 : fsync(fd);
  std::string why = reason();
  close(fd);
  return rc == 0 ? ok_status() : failed("{}: cannot sync: {}", path, why);
}

void remove_stale(const std::string& folder) {
  std::error_code error;
  std::vector<fs::path> dead;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (is_stale(entry.path().filename().string())) dead.push_back(entry.path());
  }
  for (const fs::path& p : dead) fs::remove_all(p, error);
}

}  // namespace zt
