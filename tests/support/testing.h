// Shared by all tests: contexts, deterministic inputs, error measures.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/api/exec_context.h"
#include "kernels/api/op_table.h"
#include "kernels/core/status.h"
#include "tests/support/random.h"

namespace zt::testing {

// A context with its own arena and op table.
struct Machine {
  Arena arena;
  std::unique_ptr<const OpTable> ops;
  ExecContext ctx;
};

// What this machine has, or ZOETROPE_MAX_ISA at the start of the process. The maths library takes the first cap it is
// given for the rest of the process, so it is settled here, before a test asks for less.
Isa machine_isa();

// isa: cap. force: "op=name" entries, as in ZOETROPE_IMPL.
std::unique_ptr<Machine> make_machine(Isa isa = detect_isa(), int threads = 2, std::vector<std::string> force = {});
// Every level this machine can run, generic first: parametrise kernel tests with it.
std::vector<Isa> runnable_isas();

// Filled with normal numbers times `scale`; any float type.
Tensor random_tensor(Arena& arena, DType t, Shape s, uint64_t seed, float scale = 1.f);
std::vector<float> to_floats(const TensorView& v);  // in logical order, any strides

// sum((a - b)^2) / sum(b^2); NaN must agree in place, else infinity.
double nmse(const std::vector<float>& a, const std::vector<float>& reference);
double max_abs_diff(const std::vector<float>& a, const std::vector<float>& b);

// Value of a Result, or a failed test that shows the message.
template <class T>
T must(Result<T> r, const char* what = "") {
  if (!r.ok()) {
    ADD_FAILURE() << what << " " << r.status().message();
    throw Bug(r.status().message());
  }
  return std::move(r).value();
}

#define ZT_ASSERT_OK(expr)                              \
  do {                                                  \
    ::zt::Status zt_s_ = (expr);                        \
    ASSERT_TRUE(zt_s_.ok()) << zt_s_.message();         \
  } while (0)

}  // namespace zt::testing
