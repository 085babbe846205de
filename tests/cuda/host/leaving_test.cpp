// Frames that leave the device while the next one is computed (model/vae/leaving_frames.h).
#include <gmock/gmock.h>

#include "kernels/api/transfer.h"
#include "kernels/cuda/cuda.h"
#include "model/vae/leaving_frames.h"
#include "tests/support/cuda_host_ops/host_device.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

const Shape kFrame = {6, 3};

// Five frames, the decoder's buffer being overwritten after each push, as the next frame does. What came out by then.
std::vector<std::vector<float>> leave(HostDevice& device, std::vector<size_t>& out_after) {
  OpTable table;
  add_cuda_ops(table);
  Arena host, memory(std::numeric_limits<size_t>::max(), &device);
  ExecContext ctx;
  ctx.ops = &table, ctx.arena = &memory, ctx.host = &host;
  std::vector<std::vector<float>> seen;
  auto give = [&](const TensorView& f) {
    seen.push_back(to_floats(f));
    return ok_status();
  };
  LeavingFrames frames;
  EXPECT_TRUE(frames.begin(kFrame, ctx).ok());
  EXPECT_EQ(memory.current(), LeavingFrames::bytes(kFrame, ctx));
  Tensor made = must(memory.make(DType::f32, kFrame));
  for (int k = 0; k < 5; ++k) {
    std::vector<float> values(size_t(kFrame.count()), float(k));
    EXPECT_TRUE(copy_values(TensorView(values.data(), DType::f32, kFrame), made, ctx).ok());
    EXPECT_TRUE(frames.push(made, give, ctx).ok());
    EXPECT_TRUE(device.fill(made.data(), 0xff, made.view().bytes()).ok());
    out_after.push_back(seen.size());
  }
  EXPECT_TRUE(frames.finish(give).ok());
  EXPECT_TRUE(frames.finish(give).ok()) << "nothing is left";
  frames.end();
  EXPECT_EQ(host.current() + device.copies()->pinned(), 0u);
  return seen;
}

TEST(LeavingFrames, ComeOutWholeWhileTheNextIsMade) {
  HostDevice device;
  std::vector<size_t> out_after;
  auto seen = leave(device, out_after);
  EXPECT_THAT(out_after, ::testing::ElementsAre(0, 1, 2, 3, 4));
  ASSERT_EQ(seen.size(), 5u);
  for (size_t k = 0; k < 5; ++k) EXPECT_THAT(seen[k], ::testing::Each(float(k))) << k;
  EXPECT_THAT(device.copies()->faults, ::testing::IsEmpty());
}

TEST(LeavingFrames, WithoutAWaitItWouldBeSeen) {
  HostDevice device;
  device.copies()->forget = HostCopies::Forget::copies_wait;
  std::vector<size_t> out_after;
  leave(device, out_after);
  EXPECT_THAT(device.copies()->faults, ::testing::Not(::testing::IsEmpty()));
}

TEST(LeavingFrames, ALostDeviceEndsThem) {
  HostDevice device;
  Arena host, memory(std::numeric_limits<size_t>::max(), &device);
  OpTable table;
  add_cuda_ops(table);
  ExecContext ctx;
  ctx.ops = &table, ctx.arena = &memory, ctx.host = &host;
  LeavingFrames frames;
  ZT_ASSERT_OK(frames.begin(kFrame, ctx));
  Tensor made = must(memory.zeros(DType::f32, kFrame));
  int given = 0;
  auto give = [&](const TensorView&) { return ++given, ok_status(); };
  ZT_ASSERT_OK(frames.push(made, give, ctx));
  device.waits_left = 0;
  EXPECT_EQ(frames.push(made, give, ctx).code(), Code::kDeviceLost);
  EXPECT_EQ(given, 0);
}

}  // namespace
}  // namespace zt::testing
