// The composition of a computation on this machine: memory, implementations, threads, and the GPU when one is asked for. The
// one user of kernels/registry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/media/output_stream.h"
#include "kernels/api/exec_context.h"
#include "kernels/api/op_table.h"
#include "kernels/registry/gpu.h"

namespace zt {

struct Machine {
  Arena arena;
  WriteFaults faults;  // none unless a test asks for them, as with arena.fail_at
  std::unique_ptr<const OpTable> ops;
  ExecContext ctx;  // of the CPU until use_device

  // The GPU, opened when first asked for, or why there is none that can be used.
  Result<Gpu*> gpu();
  // What ctx computes on from here on: "cpu", "cuda", or "auto", which is the GPU where one can be used. Returns which it became;
  // "cuda" where none can be used is kInvalid. Tensors of the other device must be gone or stay unused.
  Result<std::string> use_device(std::string_view wanted);
  bool on_gpu() const { return ctx.arena != &arena; }

  // Honours ZOETROPE_IMPL and ZOETROPE_MAX_ISA; mistakes in them are kInvalid.
  static Result<std::unique_ptr<Machine>> make();
  // "op: name, name" lines, best first.
  std::vector<std::string> implementations() const;

 private:
  std::unique_ptr<Gpu> gpu_;
  std::unique_ptr<Arena> gpu_arena_;
  std::optional<Status> gpu_state_;  // of the attempt to open it
};

// Resident memory of this process now and at its highest, in MiB.
int64_t resident_mb();
int64_t peak_resident_mb();

}  // namespace zt
