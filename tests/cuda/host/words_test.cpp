// The hardware words on the host: what the self-test of a device asks of the device.
#include <gtest/gtest.h>

#include "tests/cuda/words/expected.h"
#include "tests/cuda/words/start.h"
#include "tests/support/cuda_host/session.h"

namespace zt::testing {
namespace {

TEST(CudaHostWords, AllGiveWhatTheTablesSay) {
  ProbeCase c = probe_case();
  for (uint64_t seed = 0; seed < 12; ++seed) {
    cuda_host::Session s(cuda_host::options_of(seed));
    auto in = s.upload(c.in, "in");
    auto out = s.output<uint32_t>(c.want.size(), "out");
    auto sum = s.output<float>(1, "sum");
    auto chunks = s.upload(c.chunks, "chunks");
    auto raw = [](auto p) { return reinterpret_cast<void*>(p.address()); };
    std::memset(raw(sum), 0, 4);
    EXPECT_EQ(start_probe(raw(in), raw(out), raw(sum), raw(chunks)), 0);
    for (const std::string& e : probe_errors(c, s.download(out, c.want.size()), s.download(sum, 1)[0])) ADD_FAILURE() << e;
  }
}

}  // namespace
}  // namespace zt::testing
