// The composition of a computation on this machine: memory, implementations, threads. The one user of kernels/registry.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/media/output_stream.h"
#include "kernels/api/exec_context.h"
#include "kernels/api/op_table.h"

namespace zt {

struct Machine {
  Arena arena;
  WriteFaults faults;  // none unless a test asks for them, as with arena.fail_at
  std::unique_ptr<const OpTable> ops;
  ExecContext ctx;

  // Honours ZOETROPE_IMPL and ZOETROPE_MAX_ISA; mistakes in them are kInvalid.
  static Result<std::unique_ptr<Machine>> make();
  // "op: name, name" lines, best first.
  std::vector<std::string> implementations() const;
};

// Resident memory of this process now and at its highest, in MiB.
int64_t resident_mb();
int64_t peak_resident_mb();

}  // namespace zt
