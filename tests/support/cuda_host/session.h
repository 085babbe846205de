// One host-executed device: options, its memory, what was counted. While a Session lives, hw::launch on its OS thread runs there.
//
//   Session s(options_of(seed));
//   Params p{s.upload<float>(x, "x"), s.output<float>(n, "out")};
//   s.run<Kernel>({blocks}, shared_bytes, p);   // or a launcher that calls hw::launch; throws Fault
//   std::vector<float> out = s.download(p.out, n);
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/common/hw.cuh"
#include "tests/support/cuda_host/machine.h"

namespace zt::cuda_host {

class Session {
 public:
  explicit Session(const Options& o = {}) : machine_(o, memory_, traffic_), outer_(hw::host::current_machine()) {
    hw::host::current_machine() = &machine_;
  }
  ~Session() { hw::host::current_machine() = outer_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Constant data; never null, even when empty.
  template <class T>
  hw::gptr<const T> upload(std::span<const T> values, std::string name) {
    Allocation& a = memory_.make(values.size_bytes(), Access::constant, std::move(name), sizeof(T) == 1 ? 1 : 2);
    if (!values.empty()) std::memcpy(a.data, values.data(), values.size_bytes());
    return {&a, reinterpret_cast<uintptr_t>(a.data)};
  }
  template <class T>
  hw::gptr<const T> upload(const std::vector<T>& values, std::string name) {
    return upload(std::span<const T>(values), std::move(name));
  }
  // Filled with 0xff bytes, which are not a number.
  template <class T>
  hw::gptr<T> output(size_t count, std::string name, Access access = Access::once) {
    Allocation& a = memory_.make(count * sizeof(T), access, std::move(name), sizeof(T) == 1 ? 1 : 2);
    return {&a, reinterpret_cast<uintptr_t>(a.data)};
  }
  template <class T>
  std::vector<T> download(hw::gptr<T> p, size_t count) const {
    std::vector<T> v(count);
    if (count) std::memcpy(v.data(), reinterpret_cast<const void*>(p.address()), count * sizeof(T));
    return v;
  }
  template <class K>
  void run(hw::Grid grid, uint32_t shared_size, const typename K::Params& p) {
    machine_.launch(grid, uint32_t(K::kThreads), shared_size, [&] { K::run(p); });
  }

  Memory& memory() { return memory_; }
  const Traffic& traffic() const { return traffic_; }
  uint32_t launches() const { return machine_.launches(); }  // so far; what shadows of global memory count in

 private:
  Memory memory_;
  Traffic traffic_;
  Machine machine_;
  Machine* outer_;
};

}  // namespace zt::cuda_host
