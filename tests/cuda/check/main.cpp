// zt_cuda_check: what an owner of a card runs once. Hardware words, attention against the plain twin, and times; a report as JSON
// on stdout. Exit code 0 if all is right, 1 if not, 2 without a usable device.
//   zt_cuda_check [--plans N] [--no-times] [--all-shapes]      N = 0: only words and times
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/cuda/check/check.h"
#include "tests/cuda/check/device.h"

int main(int argc, char** argv) {
  using namespace zt::check;
  int plans = 200;
  bool times = true, all_shapes = false;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--plans") && i + 1 < argc) {
      plans = std::atoi(argv[++i]);
    } else if (!std::strcmp(argv[i], "--no-times")) {
      times = false;
    } else if (!std::strcmp(argv[i], "--all-shapes")) {
      all_shapes = true;
    } else {
      std::fprintf(stderr, "usage: zt_cuda_check [--plans N] [--no-times] [--all-shapes]\n");
      return 2;
    }
  }
  int devices = 0;
  must(cudaGetDeviceCount(&devices), "no usable GPU");
  cudaDeviceProp prop;
  must(cudaGetDeviceProperties(&prop, 0), "no usable GPU");
  nlohmann::json report;
  report["device"] = {{"name", prop.name}, {"arch", device_arch()}, {"multiprocessors", prop.multiProcessorCount}};
  bool right = check_words(report);
  std::fprintf(stderr, "words: %s\n", report["words"].dump().c_str());
  if (plans > 0) {
    right = check_plans(report, plans) && right;
    std::fprintf(stderr, "plans: %s\n", report["plans"].dump().c_str());
  }
  if (times) time_attention(report, all_shapes);
  report["right"] = right;
  std::printf("%s\n", report.dump(1).c_str());
  return right ? 0 : 1;
}
