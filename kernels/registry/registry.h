// The one place that names every back end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/api/op_table.h"

namespace zt {

struct RegistryOptions {
  Isa isa = Isa::generic;               // cap; also handed to the maths library
  std::vector<std::string> force;       // "op=name": only that candidate is left for the op
};

// Options from ZOETROPE_IMPL ("op=name", comma separated) and ZOETROPE_MAX_ISA, on top of what the machine has.
// Unknown ops, names or ISAs are kInvalid errors that list the known ones.
Result<RegistryOptions> registry_options_from_env();

Result<std::unique_ptr<const OpTable>> make_op_table(const RegistryOptions& options);

// "op: name, name, ..." lines, best first.
std::vector<std::string> describe(const OpTable& table);

}  // namespace zt
