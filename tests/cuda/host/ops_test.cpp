// Every op of the CUDA table under host execution against the plain one.
#include "kernels/cuda/cuda.h"
#include "kernels/ref/ref.h"
#include "tests/support/cuda_host_ops/host_device.h"
#include "tests/support/cuda_ops/checker.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

struct Tables {
  OpTable plain, cuda;
  Tables() {
    add_ref_attention(plain), add_ref_ops(plain);
    add_cuda_ops(cuda);
  }
};

class CudaOps : public ::testing::TestWithParam<OpCheck> {};

void run_check(const OpCheck& check, uint64_t seed, bool library) {
  SCOPED_TRACE(fmt::format("schedule {}", seed));
  Tables tables;
  HostDevice device(cuda_host::options_of(seed));
  device.has_library = library;
  Arena host, there(std::numeric_limits<size_t>::max(), &device);
  ExecContext plain, cuda;
  plain.ops = &tables.plain, plain.arena = &host, plain.threads = 2;
  cuda.ops = &tables.cuda, cuda.arena = &there, cuda.host = &host;
  Checker checker(plain, cuda, false);
  check.run(checker);
  EXPECT_FALSE(checker.findings().empty());
  for (const Finding& f : checker.findings()) EXPECT_TRUE(f.ok()) << f.op << ": " << f.what << ": " << f.error << " above " << f.bound;
  EXPECT_EQ(there.current(), 0u) << "device memory that was not given back";
}

TEST_P(CudaOps, EqualThePlainOnes) { run_check(GetParam(), 0, true); }
TEST_P(CudaOps, EqualThePlainOnesOnAnotherSchedule) { run_check(GetParam(), 7, false); }

INSTANTIATE_TEST_SUITE_P(All, CudaOps, ::testing::ValuesIn(op_checks()), [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace zt::testing
