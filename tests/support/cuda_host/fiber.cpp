#include "tests/support/cuda_host/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace zt::cuda_host {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStack = 512 * 1024;
#else
constexpr size_t kStack = 128 * 1024;
#endif

// Stacks are used again: fresh ones cost more, in page faults, than most test kernels take.
struct Stacks {
  std::vector<char*> free;
  ~Stacks() {
    for (char* s : free) munmap(s, kStack);
  }
};
thread_local Stacks stacks;

thread_local Fiber *leaving = nullptr, *starting = nullptr;

}  // namespace

#ifdef __x86_64__
// Saves what the calling convention says a callee must keep, and the stack pointer. ucontext also saves the signal mask, by a
// system call: three times slower.
extern "C" void zt_fiber_switch(void** save, void* load);
asm(R"(
.text
.type zt_fiber_switch, @function
zt_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size zt_fiber_switch, .-zt_fiber_switch
)");
#endif

Fiber::~Fiber() {
  if (stack_) stacks.free.push_back(stack_);
#ifndef __x86_64__
  delete static_cast<ucontext_t*>(sp_);
#endif
}

void Fiber::arrived([[maybe_unused]] void* fake_stack) {
#ifdef __SANITIZE_ADDRESS__
  const void* bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
  // Of the stack that no fiber made, the bounds are known only now.
  if (!leaving->stack_) leaving->bottom_ = bottom, leaving->size_ = size;
#endif
}

void Fiber::start() {
  Fiber* self = starting;
  arrived(nullptr);
  self->fn_(self->argument_);
}

void Fiber::prepare(void (*fn)(void*), void* argument) {
  if (!stack_ && !stacks.free.empty()) {
    stack_ = stacks.free.back();
    stacks.free.pop_back();
  } else if (!stack_) {
    void* p = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    stack_ = static_cast<char*>(p);
  }
  fn_ = fn, argument_ = argument, bottom_ = stack_, size_ = kStack;
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(stack_, kStack);
#endif
#ifdef __x86_64__
  // At a function's first instruction the stack pointer is 16 k + 8: what lies there is the return address.
  auto* top = reinterpret_cast<uintptr_t*>(stack_ + kStack - 64);
  top[-1] = 0;
  top[-2] = reinterpret_cast<uintptr_t>(&Fiber::start);
  for (int i = 3; i <= 8; ++i) top[-i] = 0;
  sp_ = top - 8;
#else
  if (!sp_) sp_ = new ucontext_t;
  auto* c = static_cast<ucontext_t*>(sp_);
  getcontext(c);
  c->uc_stack.ss_sp = stack_, c->uc_stack.ss_size = kStack, c->uc_link = nullptr;
  makecontext(c, &Fiber::start, 0);
#endif
}

void Fiber::switch_to(Fiber& other) {
  starting = &other;
  leaving = this;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&fake_stack_, other.bottom_, other.size_);
#endif
#ifdef __x86_64__
  zt_fiber_switch(&sp_, other.sp_);
#else
  if (!sp_) sp_ = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(sp_), static_cast<ucontext_t*>(other.sp_));
#endif
  arrived(fake_stack_);
}

}  // namespace zt::cuda_host
