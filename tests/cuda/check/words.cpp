#include "tests/cuda/check/check.h"
#include "tests/cuda/check/device.h"
#include "tests/cuda/words/expected.h"
#include "tests/cuda/words/start.h"

namespace zt::check {

bool check_words(nlohmann::json& report) {
  testing::ProbeCase c = testing::probe_case();
  Buffer in = upload(c.in), chunks = upload(c.chunks), out(c.want.size() * 4), sum(4);
  sum.fill(0);
  must(testing::start_probe(in.data(), out.data(), sum.data(), chunks.data()), "the words' kernel");
  must(cudaDeviceSynchronize(), "the words' kernel");
  std::vector<std::string> errors = testing::probe_errors(c, out.get<uint32_t>(c.want.size()), sum.get<float>(1)[0]);
  report["words"] = {{"checked", c.tolerance.size() + 1}, {"errors", errors}};
  return errors.empty();
}

}  // namespace zt::check
