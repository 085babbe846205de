// libFuzzer supplies main. `ZT_FUZZ_SEEDS=DIR` makes the target write its seeds there first, as the start of a corpus.
#include <cstdint>

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* folder = std::getenv("ZT_FUZZ_SEEDS");
  if (!folder) return 0;
  std::filesystem::create_directories(folder);
  int n = 0;
  for (const std::string& s : zt::fuzz::seeds()) std::ofstream(std::string(folder) + "/seed" + std::to_string(n++), std::ios::binary) << s;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  zt::fuzz::one({reinterpret_cast<const char*>(data), size});
  return 0;
}
