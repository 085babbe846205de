// Tensors as safetensors, written in pieces as they are made; the name appears with the last byte.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/media/output_file.h"
#include "kernels/core/dtype.h"

namespace zt {

struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;  // f32 or u8
  std::vector<int64_t> shape;
};

class TensorFile {
 public:
  // The bytes of all tensors follow in this order. settings: one entry of the header's __metadata__, key `settings`; empty =
  // none. It must be valid UTF-8.
  static Result<std::unique_ptr<TensorFile>> open(const std::string& path, bool replace, const std::vector<TensorEntry>& tensors,
                                                  const std::string& settings, WriteFaults* faults = nullptr);
  static Result<std::unique_ptr<TensorFile>> open(const std::string& path, bool replace, const std::string& name, DType dtype,
                                                  const std::vector<int64_t>& shape, const std::string& settings,
                                                  WriteFaults* faults = nullptr) {
    return open(path, replace, {{name, dtype, shape}}, settings, faults);
  }
  Status write(const void* data, size_t bytes);
  Status commit();  // after the last byte

 private:
  TensorFile(PendingFile file, OutputStream stream, size_t bytes)
      : file_(std::move(file)), stream_(std::move(stream)), left_(bytes) {}
  PendingFile file_;
  OutputStream stream_;
  size_t left_;
};

}  // namespace zt
