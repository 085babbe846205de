#include "model/io/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

#include "model/io/safetensors_header.h"
#include "model/io/text_file.h"

namespace zt {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and data is used in place");

namespace {
constexpr uint64_t kMaxHeader = 100'000'000;
std::string reason(int error) { return std::generic_category().message(error); }
}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return bad_model("{}: cannot be opened: {}", path, reason(errno));
  struct stat st {};
  Status status;
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  if (fstat(fd, &st) != 0) {
    status = bad_model("{}: {}", path, reason(errno));
  } else if (!S_ISREG(st.st_mode)) {
    status = bad_model("{}: not a regular file", path);
  } else if (st.st_size <= 0) {
    status = bad_model("{}: the file is empty", path);
  } else {
    void* p = mmap(nullptr, size_t(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      status = bad_model("{}: cannot be mapped: {}", path, reason(errno));
    } else {
      file->data_ = static_cast<const uint8_t*>(p);
      file->size_ = size_t(st.st_size);
    }
  }
  ::close(fd);
  if (!status.ok()) return status;
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), size_);
}

void MappedFile::drop(const void* begin, size_t bytes) const {
  auto* at = static_cast<const uint8_t*>(begin);
  if (bytes == 0 || at < data_ || at >= data_ + size_) return;
  // Rounded outwards: a page that is needed after all is read again from the page cache.
  size_t page = size_t(sysconf(_SC_PAGESIZE)), from = size_t(at - data_) / page * page;
  size_t to = std::min(size_, size_t(at - data_) + bytes);
  madvise(const_cast<uint8_t*>(data_) + from, to - from, MADV_DONTNEED);
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  SafetensorsFile out;
  ZT_ASSIGN_OR_RETURN(out.file, MappedFile::open(path));
  const uint8_t* data = out.file->data();
  size_t size = out.file->size();
  if (size < 8) return bad_model("{}: {} bytes, too short for a safetensors file", path, size);
  uint64_t header = 0;
  std::memcpy(&header, data, 8);
  if (header > kMaxHeader) {
    return bad_model("{}: header length {} is larger than {} (not a safetensors file?)", path, header, kMaxHeader);
  }
  if (header > size - 8) return bad_model("{}: header length {} is larger than the file (truncated?)", path, header);
  uint64_t data_bytes = size - 8 - header;
  auto parsed = parse_safetensors_header({reinterpret_cast<const char*>(data) + 8, size_t(header)}, data_bytes);
  if (!parsed.ok()) return parsed.status().in(path);
  const uint8_t* base = data + 8 + header;
  for (const HeaderEntry& e : parsed->entries) {
    // In place means aligned: the writers of the format pad for this, and a copy would double the memory of a tensor.
    if ((uintptr_t(base) + e.begin) % dtype_size(e.dtype) != 0 && e.begin != e.end) {
      return bad_model("{}: tensor '{}': data is not aligned to its type; save the file again with a current writer", path,
                       quotable(e.name));
    }
    out.tensors.emplace(e.name, TensorView(const_cast<uint8_t*>(base) + e.begin, e.dtype, e.shape));
  }
  out.metadata = std::move(parsed->metadata);
  return out;
}

}  // namespace zt
