// Functions of a library that is opened while the program runs.
#pragma once

#include <dlfcn.h>

namespace zt::cuda {

// False, and `into` null, when the library has no such function.
template <class F>
bool find(void* library, const char* name, F& into) {
  into = reinterpret_cast<F>(dlsym(library, name));
  return into != nullptr;
}

}  // namespace zt::cuda
