// Stacks that are switched by hand: every GPU thread of a block runs on its own. A fiber stays on the OS thread that made it.
#pragma once

#include <cstddef>

namespace zt::cuda_host {

class Fiber {
 public:
  Fiber() = default;  // the stack that is running
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Gets a stack, if it has none, and will start with fn(argument), which must not return. What ran on it before is dropped.
  void prepare(void (*fn)(void*), void* argument);
  // Suspends this one, which is running, and resumes the other.
  void switch_to(Fiber& other);

 private:
  static void start();
  static void arrived(void* fake_stack);
  void* sp_ = nullptr;
  char* stack_ = nullptr;
  void (*fn_)(void*) = nullptr;
  void* argument_ = nullptr;
  void* fake_stack_ = nullptr;  // for the address sanitizer
  const void* bottom_ = nullptr;
  size_t size_ = 0;
};

}  // namespace zt::cuda_host
