// The kernels that have been translated from PTX, by their symbols.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace zt::cuda_ptx {

// What a launch passes: the bytes of the kernel's one parameter.
struct Param {
  const unsigned char* bytes;
  uint32_t size;
};
struct Translated {
  const char* symbol;
  void (*run)(Param);  // one thread
  uint32_t param_bytes;
  uint32_t most_threads;  // a block, as __launch_bounds__ promised ptxas
};

// A static object of each translated file.
struct Registered {
  Registered(std::initializer_list<Translated> kernels);
};

}  // namespace zt::cuda_ptx
