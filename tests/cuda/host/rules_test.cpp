// What keeps host execution honest: both halves of the header offer the same words, and kernels use nothing else.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = ZT_SOURCE_DIR;
constexpr const char* kHeader = "kernels/cuda/common/hw.cuh";

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream f(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(f, line);) lines.push_back(line);
  return lines;
}

// Names of functions, types and macros a half declares; what is in `namespace host` is its own affair.
std::set<std::string> words_of(const fs::path& path) {
  static const std::regex function(R"(^(?:ZT_DEVICE |inline )?(?:[\w:]+(?:<[^()]*>)?[&*]*) (\w+)\(.*)"), type(R"(^(?:using|class) (\w+).*)"),
      macro(R"(^#define (\w+).*)");
  std::set<std::string> words;
  bool own = false;
  for (const std::string& line : lines_of(path)) {
    if (line == "namespace host {") own = true;
    if (line == "}  // namespace host") own = false;
    std::smatch m;
    if (own) continue;
    if (std::regex_match(line, m, function) || std::regex_match(line, m, type) || std::regex_match(line, m, macro)) words.insert(m[1]);
  }
  words.erase("Loc");  // a place, of the host half only
  return words;
}

TEST(CudaHostRules, BothHalvesOfTheHeaderHaveTheSameWords) {
  std::set<std::string> device = words_of(kRoot / kHeader), host = words_of(kRoot / "tests/support/cuda_host" / kHeader);
  EXPECT_GT(device.size(), 40u);
  EXPECT_EQ(device, host);
}

TEST(CudaHostRules, KernelsReachHardwareThroughTheHeaderOnly) {
  static const std::regex forbidden(
      R"(\basm\b|threadIdx|blockIdx|blockDim|gridDim|__sh|__sync|__syncthreads|extern __shared__|__shared__|__device__|__global__|"hw\.cuh"|cuda_runtime|<<<|__CUDACC__|__CUDA_ARCH__)");
  int seen = 0;
  for (const auto& e : fs::recursive_directory_iterator(kRoot / "kernels/cuda")) {
    std::string ext = e.path().extension();
    if (ext != ".cuh" && ext != ".cu") continue;
    if (e.path().parent_path() == kRoot / "kernels/cuda/common") continue;
    ++seen;
    int number = 0;
    for (const std::string& line : lines_of(e.path())) {
      ++number;
      std::string code = line.substr(0, line.find("//"));
      EXPECT_FALSE(std::regex_search(code, forbidden)) << e.path() << ":" << number << ": " << line;
    }
  }
  EXPECT_GT(seen, 0);
}

}  // namespace
