// The translator and what stands in for the runtime: instructions give what the PTX manual says (arithmetic.ptx), what cannot be
// translated is refused, and what a device would not take is a fault.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/support/cuda_host/session.h"

// As nvcc declares them.
extern "C" {
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*, dim3*, int*);
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t);
}

namespace zt::testing {
namespace {

namespace fs = std::filesystem;
using cuda_host::FaultKind;

const fs::path kArithmetic = ZT_SOURCE_DIR "/tests/cuda/ptx/arithmetic.ptx";

// Launches a kernel of arithmetic.ptx with an address for parameter, as the host side of a .cu file would.
void start(const std::string& kernel, uintptr_t address, unsigned threads = 32, size_t shared_size = 0) {
  static char handle;
  __cudaRegisterFunction(nullptr, &handle, nullptr, kernel.c_str(), 0, nullptr, nullptr, nullptr, nullptr, nullptr);
  void* args[] = {&address};
  __cudaLaunchKernel(reinterpret_cast<cudaKernel_t>(&handle), dim3(1), dim3(threads), args, shared_size, nullptr);
}

TEST(CudaPtx, InstructionsGiveWhatTheManualSays) {
  struct Row {
    std::string code;
    uint64_t want, mask;
  };
  std::vector<Row> rows;
  std::ifstream f(kArithmetic);
  for (std::string line; std::getline(f, line);) {
    size_t at = line.find("// = ");
    if (at == std::string::npos) continue;
    const std::string value = line.substr(at + 5);
    const uint64_t want = value[0] == '-' ? uint64_t(std::stoll(value)) : std::stoull(value, nullptr, 0);
    rows.push_back({line, want, line.find("st.global.b64") != std::string::npos ? ~0ull : 0xffffffffull});
  }
  ASSERT_GT(rows.size(), 100u);
  cuda_host::Session s;
  auto out = s.output<uint64_t>(rows.size(), "results");
  start("arithmetic", out.address());
  const std::vector<uint64_t> got = s.download(out, rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(got[i] & rows[i].mask, rows[i].want & rows[i].mask) << rows[i].code;
    EXPECT_EQ(got[i] | rows[i].mask, ~0ull) << rows[i].code << ": wrote beyond its result";
  }
}

// Fails unless the kernel ends in a fault of the kind, at a line of the PTX.
void expect_fault(const std::string& kernel, FaultKind kind) {
  cuda_host::Session s;
  auto out = s.output<uint64_t>(1, "results");
  try {
    start(kernel, out.address());
    ADD_FAILURE() << kernel << " went well";
  } catch (const cuda_host::Fault& f) {
    EXPECT_EQ(f.kind(), kind) << kernel << ": " << f.what();
    EXPECT_NE(std::string(f.what()).find("arithmetic.ptx:"), std::string::npos) << f.what();
  }
}

TEST(CudaPtx, OperandsThatNoKernelMayHaveAreFaults) {
  expect_fault("outside_parameters", FaultKind::global_bounds);
  expect_fault("nowhere", FaultKind::global_bounds);
  expect_fault("below_shared_memory", FaultKind::smem_bounds);
  expect_fault("another_barrier", FaultKind::divergence);
  expect_fault("half_a_warp", FaultKind::divergence);
  expect_fault("segments", FaultKind::divergence);
  expect_fault("copy_of_four_bytes", FaultKind::align);
}

TEST(CudaPtx, LaunchesThatTheRuntimeWouldRefuseAreFaults) {
  cuda_host::Session s;
  auto out = s.output<uint64_t>(1, "results");
  EXPECT_THROW(start("arithmetic", out.address(), 64), cuda_host::Fault);             // .maxntid 32
  EXPECT_THROW(start("arithmetic", out.address(), 32, 48 * 1024 + 1), cuda_host::Fault);  // without having asked for it
  EXPECT_THROW(start("no_such_kernel", out.address()), std::logic_error);
}

// What the translator says of a kernel of this one line; empty if it takes it.
std::string refusal(const std::string& line) {
  const fs::path folder = fs::path(ZT_BIN_DIR).parent_path() / "cuda_ptx_refusals";
  fs::create_directories(folder);
  const std::string ptx = folder / "one.ptx", cpp = folder / "one.cpp", said = folder / "said";
  fs::remove(cpp);
  std::ofstream(ptx) << ".visible .entry k(\n\t.param .align 8 .b8 k_param_0[8]\n)\n{\n\t.reg .pred %p<9>;\n\t.reg .b32 %r<9>;\n"
                        "\t.reg .f32 %f<9>;\n\t.reg .b64 %rd<9>;\n"
                     << line << "\n}\n";
  const int status = std::system((ZT_PTX_TRANSLATOR " " + ptx + " " + cpp + " 2> " + said).c_str());
  EXPECT_EQ(WEXITSTATUS(status) == 0, fs::exists(cpp)) << line;
  std::ifstream f(said);
  return {std::istreambuf_iterator<char>(f), {}};
}

TEST(CudaPtx, WhatIsNotKnownIsRefusedWithItsLine) {
  EXPECT_EQ(refusal("add.s32 %r1, %r2, %r3;"), "");
  for (const char* line : {"frobnicate.b32 %r1, %r2;", "add.sat.s32 %r1, %r2, %r3;", "ex2.approx.f32 %f1, %f2;", "add.s32 %r1, %r2;",
                           "add.s32 %r1, %r2, %r99;", "add.s32 %r1, %r2, some_table;", "mov.u32 %r1, %clock;", "add.f32 %rd1, %f2, %f3;",
                           "setp.lt.s32 %r1, %r2, %r3;", "ld.const.u32 %r1, [%rd1];", "ld.shared.v2.b32 {%r1, %r2, %r3, %r4}, [%r5];",
                           "ld.global.b32 %r1, [%rd1], %r2;", "bra.uni one, two;", "ld.shared.v8.b32 {%r1, %r2}, [%r3];",
                           "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r1, %r2}, [%r3];", "shfl.sync.down.b32 %r1, %r2, %r3, %r4, -1;",
                           "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, "
                           "{%f1, %f2, %f3, %f4};",
                           ".local .align 16 .b8 depot[64];", "{ .reg .b32 t; }", "call helper, (%r1);"}) {
    const std::string said = refusal(line);
    EXPECT_TRUE(std::regex_search(said, std::regex("^untranslated: .*one.ptx:9: "))) << line << ": " << said;
    EXPECT_NE(said.find(line), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace zt::testing
