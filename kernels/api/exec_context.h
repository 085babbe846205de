// Everything a computation needs that is not its data. Made by app/engine, passed down, never global.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "kernels/core/cpu_features.h"
#include "kernels/core/profiler.h"
#include "kernels/core/tensor.h"

namespace zt {

struct OpTable;

struct ExecContext {
  const OpTable* ops = nullptr;
  Arena* arena = nullptr;  // where the ops' tensors are; with a Memory, on a device
  Arena* host = nullptr;   // for what the host reads and writes; null = arena, which is then host memory
  int threads = 1;
  Isa isa = Isa::generic;  // cap: detected, lowered by ZOETROPE_MAX_ISA
  Profiler* profiler = nullptr;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(std::string_view)> warn;  // one line for the user; may be empty

  // Checked between blocks of the network, so that a cancelled job stops within one.
  bool cancelled() const { return cancel && cancel->load(std::memory_order_relaxed); }
};

}  // namespace zt
