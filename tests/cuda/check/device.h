// Device memory and time for the check program. Every CUDA error ends it with one line.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace zt::check {

void must(cudaError_t e, const char* what);
inline void must(int e, const char* what) { must(cudaError_t(e), what); }

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& o) noexcept : data_(o.data_), bytes_(o.bytes_) { o.data_ = nullptr; }
  Buffer& operator=(Buffer&&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void fill(int byte);
  void put(const void* from, size_t bytes);
  template <class T>
  std::vector<T> get(size_t count) const {
    std::vector<T> v(count);
    fetch(v.data(), count * sizeof(T));
    return v;
  }

 private:
  void fetch(void* to, size_t bytes) const;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};
template <class T>
Buffer upload(const std::vector<T>& v) {
  Buffer b(v.size() * sizeof(T));
  b.put(v.data(), v.size() * sizeof(T));
  return b;
}

// Compute capability, as 10 * major + minor.
int device_arch();
// Seconds of one call: the fastest of `repeats` after one untimed.
double seconds_of(const std::function<void()>& call, int repeats);

}  // namespace zt::check
