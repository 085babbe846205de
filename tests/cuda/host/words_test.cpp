// The hardware words on the host: what the self-test of a device asks of the device.
#include <gtest/gtest.h>

#include "tests/cuda/words/expected.h"
#include "tests/cuda/words/probe.cuh"
#include "tests/support/cuda_host/session.h"

namespace zt::testing {
namespace {

TEST(CudaHostWords, AllGiveWhatTheTablesSay) {
  ProbeCase c = probe_case();
  for (uint64_t seed = 0; seed < 12; ++seed) {
    cuda_host::Session s(cuda_host::options_of(seed));
    ProbeParams p{s.upload(c.in, "in"), s.output<uint32_t>(c.want.size(), "out"), {}, s.upload(c.chunks, "chunks")};
    p.sum = s.output<float>(1, "sum");
    float zero = 0;
    std::memcpy(reinterpret_cast<void*>(p.sum.address()), &zero, 4);
    s.run<Probe>({1}, Probe::kShared, p);
    for (const std::string& e : probe_errors(c, s.download(p.out, c.want.size()), s.download(p.sum, 1)[0])) ADD_FAILURE() << e;
  }
}

}  // namespace
}  // namespace zt::testing
