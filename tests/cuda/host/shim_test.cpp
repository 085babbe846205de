// Host execution itself: small kernels that are right, and small kernels with one fault each, which must be named.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/cuda_host/session.h"

namespace zt::cuda_host {
namespace {

struct Sum {  // of each row of 64 numbers, by a block of two warps
  struct Params {
    hw::gptr<const float> x;
    hw::gptr<float> out;
  };
  static constexpr int kThreads = 64, kMinBlocks = 1;
  static ZT_DEVICE void run(const Params& p) {
    int t = hw::thread();
    float v = hw::ldg(p.x + hw::block_x() * 64 + t);
    for (int m = 16; m; m /= 2) v += hw::shfl_xor(v, m);
    if (t % 32 == 0) hw::sts<float>(hw::shared() + t / 32 * 4, v);
    hw::sync_block();
    if (t == 0) hw::stg(p.out + hw::block_x(), hw::lds<float>(hw::shared()) + hw::lds<float>(hw::shared() + 4));
  }
};

TEST(CudaHost, RunsAKernelUnderAllSchedules) {
  std::vector<float> x(64 * 5);
  std::iota(x.begin(), x.end(), 0.f);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Session s(options_of(seed));
    Sum::Params p{s.upload(x, "x"), s.output<float>(5, "out")};
    hw::launch<Sum>(nullptr, {5}, 8, p);
    std::vector<float> out = s.download(p.out, 5);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(out[size_t(i)], float(64 * (64 * i) + 63 * 32));
  }
}

// A kernel of one fault: F(p) by 64 threads with 1 KiB of shared memory.
struct FaultParams {
  hw::gptr<const hw::U4> in;  // 64
  hw::gptr<float> out;        // 64
};
template <auto F>
struct Faulty {
  using Params = FaultParams;
  static constexpr int kThreads = 64, kMinBlocks = 1;
  static void run(const Params& p) { F(p, hw::thread()); }
};
template <auto F>
void expect_fault(FaultKind kind, const char* what, uint32_t blocks = 1) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Session s(options_of(seed));
    FaultParams p{s.upload(std::vector<hw::U4>(64), "in"), s.output<float>(64, "out")};
    try {
      s.run<Faulty<F>>({blocks}, 1024, p);
      ADD_FAILURE() << what << ": nothing was reported with seed " << seed;
    } catch (const Fault& f) {
      EXPECT_EQ(fault_name(f.kind()), fault_name(kind)) << what << ", seed " << seed << ": " << f.what();
      EXPECT_NE(std::string(f.what()).find("shim_test.cpp:"), std::string::npos) << f.what();
    }
  }
}
hw::saddr at(int i) { return hw::shared() + 16 * i; }

TEST(CudaHost, NamesFaultsOfSharedMemory) {
  expect_fault<[](const FaultParams&, int t) { hw::lds<float>(at(t)); }>(FaultKind::uninit, "never written");
  expect_fault<[](const FaultParams&, int t) { hw::sts(at(t + 1), 1.f); }>(FaultKind::smem_bounds, "one behind");
  expect_fault<[](const FaultParams&, int t) { hw::sts(at(t) + 2, 1.f); }>(FaultKind::align, "off by two bytes");
  expect_fault<[](const FaultParams&, int t) {
    hw::sts(at(t), 1.f);
    hw::sync_block();
    hw::lds<float>(at(t ^ 32));
    hw::sts(at(t), 2.f);
  }>(FaultKind::race, "written while another warp may read");
  expect_fault<[](const FaultParams&, int t) {
    hw::sts(at(t), 1.f);
    hw::shfl_xor(1, 1);  // orders nothing
    hw::lds<float>(at(t ^ 1));
  }>(FaultKind::race, "read without a warp barrier");
  expect_fault<[](const FaultParams&, int t) {
    hw::sts(at(t), 1.f);
    hw::sync_block();
    hw::sts(at(t), 2.f);
    hw::sync_warp();
    hw::lds<float>(at(t ^ 32));
  }>(FaultKind::race, "a warp barrier where a block barrier is due");
}

TEST(CudaHost, NamesFaultsOfCopies) {
  expect_fault<[](const FaultParams& p, int t) {
    hw::cp_async16(at(t), p.in + t, true);
    hw::cp_commit();
    hw::lds<float>(at(t));
    hw::cp_wait<0>();
  }>(FaultKind::in_flight, "read before the wait");
  expect_fault<[](const FaultParams& p, int t) {
    hw::cp_async16(at(t), p.in + t, true);
    hw::cp_commit();
    hw::cp_wait<1>();
    hw::lds<float>(at(t));
  }>(FaultKind::in_flight, "waited for the one before");
  expect_fault<[](const FaultParams& p, int t) {
    hw::cp_async16(at(t), p.in + t, true);
    hw::cp_wait<0>();
    hw::lds<float>(at(t));
  }>(FaultKind::in_flight, "never committed");
  expect_fault<[](const FaultParams& p, int t) {
    hw::cp_async16(at(t), p.in + t, true);
    hw::cp_commit();
  }>(FaultKind::in_flight, "never waited for");
  expect_fault<[](const FaultParams& p, int t) {
    hw::cp_async16(at(t), p.in + t, true);
    hw::cp_commit();
    hw::cp_wait<0>();
    hw::sync_warp();
    hw::lds<float>(at(t));
    hw::sync_block();
    hw::cp_async16(at(t ^ 1), p.in + t, true);
    hw::cp_async16(at(t ^ 1), p.in + t, true);
    hw::cp_commit();
    hw::cp_wait<0>();
  }>(FaultKind::in_flight, "two copies to one place");
}

TEST(CudaHost, NamesFaultsOfGlobalMemory) {
  expect_fault<[](const FaultParams& p, int t) { hw::ldg(p.in + (t + 1)); }>(FaultKind::global_bounds, "one behind");
  expect_fault<[](const FaultParams& p, int t) { hw::ldg(p.in - 1 + (t == 0 ? 0 : t)); }>(FaultKind::global_bounds, "one before");
  expect_fault<[](const FaultParams& p, int t) { hw::stg(p.out + t / 2, 1.f); }>(FaultKind::global_write, "two threads write one");
  expect_fault<[](const FaultParams& p, int t) { hw::stg(p.out + t, 1.f); }>(FaultKind::global_write, "two blocks write one", 2);
  expect_fault<[](const FaultParams& p, int) { hw::ldg(hw::gptr<const float>() + hw::block_x() + (p.in ? 0 : 1)); }>(
      FaultKind::global_bounds, "null");
  expect_fault<[](const FaultParams& p, int t) { hw::ldg(hw::as<const hw::U4>(hw::as<const float>(p.in) + t)); }>(FaultKind::align,
                                                                                                              "not on 16 bytes");
}

TEST(CudaHost, NamesMeetingsThatFail) {
  expect_fault<[](const FaultParams&, int t) {
    if (t % 2) hw::shfl_xor(t, 1);
    else hw::shfl_xor(t, 1);
  }>(FaultKind::divergence, "two places");
  expect_fault<[](const FaultParams&, int t) {
    if (t % 32 < 31) hw::sync_warp();
  }>(FaultKind::divergence, "one lane short");
  expect_fault<[](const FaultParams&, int t) {
    if (t < 32) hw::sync_block();
  }>(FaultKind::deadlock, "one warp short");
}

}  // namespace
}  // namespace zt::cuda_host
