#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "model/io/safetensors.h"
#include "model/io/safetensors_header.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

// A file under a hidden temporary name until commit(); removed when that never comes.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path) : path_(path) {
    std::filesystem::path p(path);
    folder_ = p.has_parent_path() ? p.parent_path().string() : ".";
    // The process id tells whoever finds it later whether its owner is alive.
    for (int n = 0; n < 1000 && fd_ < 0; ++n) {
      temporary_ = fmt::format("{}/.{}.{}.{}.tmp", folder_, p.stem().string(), getpid(), n);
      fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd_ < 0 && errno != EEXIST) break;
    }
    if (fd_ < 0) status_ = failed("{}: cannot be written: {}", path_, reason(errno));
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_), ::unlink(temporary_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(const void* data, size_t bytes) {
    auto* at = static_cast<const char*>(data);
    while (status_.ok() && bytes > 0) {
      ssize_t n = ::write(fd_, at, std::min(bytes, size_t(1) << 30));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        status_ = failed("{}: write failed: {}", path_, reason(errno));
      } else {
        at += n, bytes -= size_t(n);
      }
    }
  }

  Status commit() {
    if (!status_.ok()) return status_;
    if (fsync(fd_) != 0) return failed("{}: write failed: {}", path_, reason(errno));
    if (::close(fd_) != 0) {  // some file systems report a full disk only here
      int error = errno;
      fd_ = -1;
      ::unlink(temporary_.c_str());
      return failed("{}: write failed: {}", path_, reason(error));
    }
    fd_ = -1;
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      int error = errno;
      ::unlink(temporary_.c_str());
      return failed("{}: cannot be written: {}", path_, reason(error));
    }
    int dir = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
      fsync(dir);  // refused by some file systems; the file itself is complete either way
      ::close(dir);
    }
    return ok_status();
  }

 private:
  std::string path_, folder_, temporary_;
  int fd_ = -1;
  Status status_;
};

}  // namespace

SafetensorsLayout lay_out_safetensors(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  // Wide types first, then by name: every tensor is aligned to its type without padding, which the format forbids.
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& t : tensors) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    size_t wa = dtype_size(a->tensor.dtype), wb = dtype_size(b->tensor.dtype);
    return wa != wb ? wa > wb : a->name < b->name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  SafetensorsLayout layout;
  uint64_t at = 0;
  for (const NamedTensor* t : order) {
    ZT_CHECK(t->tensor.dense() && t->tensor.device == Device::cpu && !header.contains(t->name));
    std::vector<int64_t> dims;
    for (int i = 0; i < t->tensor.rank(); ++i) dims.push_back(t->tensor.dim(i));
    header[t->name] = {
        {"dtype", safetensors_dtype_name(t->tensor.dtype)}, {"shape", dims}, {"data_offsets", {at, at + t->tensor.bytes()}}};
    at += t->tensor.bytes();
    layout.data.push_back(t->tensor);
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t length = text.size();
  layout.head.assign(reinterpret_cast<const char*>(&length), sizeof length);
  layout.head += text;
  return layout;
}

Status write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  SafetensorsLayout layout = lay_out_safetensors(tensors, metadata);
  TemporaryFile file(path);
  file.write(layout.head.data(), layout.head.size());
  for (const TensorView& t : layout.data) file.write(t.data, t.bytes());
  return file.commit();
}

}  // namespace zt
