// One tensor as safetensors, written in pieces as it is made; the name appears with the last byte.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/media/output_file.h"
#include "kernels/core/dtype.h"

namespace zt {

class TensorFile {
 public:
  // metadata: one entry of the header's __metadata__, key `settings`; empty = none. It must be valid UTF-8.
  static Result<std::unique_ptr<TensorFile>> open(const std::string& path, bool replace, const std::string& name, DType dtype,
                                                  const std::vector<int64_t>& shape, const std::string& settings,
                                                  WriteFaults* faults = nullptr);
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
