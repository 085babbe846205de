// Whole tiny models through the CUDA table under host execution, prompt to frames, beside the CPU's.
#include <cstring>

#include "kernels/cuda/cuda.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"
#include "tests/support/cuda_host_ops/host_device.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

struct Clip {
  std::vector<float> embeds, latents, frames;
};

struct Job {
  std::string model, prompt, attn;
  ClipShape shape;
  DType compute = DType::f32;
  SamplerKind sampler = SamplerKind::unipc;
};

Clip render(const Job& job, const ExecContext& ctx) {
  auto pipeline = must(TextToVideo::open(ZT_SOURCE_DIR "/tests/golden/pipelines/" + job.model, job.compute));
  Tensor embeds = must(pipeline->embed(must(pipeline->tokenize(job.prompt)), ctx));
  Tensor negative = must(pipeline->embed(must(pipeline->tokenize("")), ctx));
  DenoiseRequest r;
  r.embeds = embeds, r.negative_embeds = negative, r.steps = 2, r.sampler = job.sampler;
  r.attention = must(make_policy(job.attn));
  Tensor latents = must(pipeline->denoise(job.shape, r, {}, ctx));
  Clip clip{to_floats(embeds), to_floats(latents), {}};
  auto sink = [&](const TensorView& f) {
    auto v = to_floats(f);
    clip.frames.insert(clip.frames.end(), v.begin(), v.end());
    return ok_status();
  };
  EXPECT_TRUE(pipeline->decode(latents, false, sink, ctx).ok());
  return clip;
}

Clip render_on_cuda(const Job& job) {
  OpTable table;
  add_cuda_ops(table);
  HostDevice device;
  Arena host, memory(std::numeric_limits<size_t>::max(), &device);
  ExecContext ctx;
  ctx.ops = &table, ctx.arena = &memory, ctx.host = &host;
  Clip clip = render(job, ctx);
  EXPECT_GT(device.products, 0);
  EXPECT_EQ(memory.current(), 0u);
  return clip;
}

class CudaModel : public ::testing::TestWithParam<Job> {};

TEST_P(CudaModel, ComesToTheClipOfTheCpu) {
  Job job = GetParam();
  Clip want = render(job, make_machine()->ctx), got = render_on_cuda(job);
  // Sums in another order and an exponential good to 2^-22, through two steps of the network: 1e-6 a value, squared.
  EXPECT_LE(nmse(got.embeds, want.embeds), 1e-11);
  EXPECT_LE(nmse(got.latents, want.latents), 1e-10);
  EXPECT_LE(nmse(got.frames, want.frames), 1e-10);

  if (job.attn.starts_with("oracle")) return;  // rounding to bf16 may turn its choices
  job.compute = DType::bf16;
  Clip naive = render(job, make_machine()->ctx), half = render_on_cuda(job);
  // As far from f32 as the CPU's bf16 is, within twice.
  EXPECT_LE(nmse(half.latents, want.latents), 4 * nmse(naive.latents, want.latents));
  EXPECT_LE(nmse(half.frames, want.frames), 4 * nmse(naive.frames, want.frames));
}

INSTANTIATE_TEST_SUITE_P(Models, CudaModel,
                         ::testing::Values(Job{"heads2x12", "A red ball rolls over green hills.", "dense", {32, 48, 5}},
                                           Job{"heads2x64", "a tower", "window:window=1x2x2", {48, 32, 5}},
                                           Job{"heads2x24", "the blue cube spins", "oracle:keep=0.5", {48, 48, 5}, DType::f32, SamplerKind::lcm}),
                         [](const auto& test) { return test.param.model; });

// The state handed to a checkpoint, kept.
struct Saved {
  Arena arena;
  std::vector<Tensor> memory;
  DenoiseState state;
  void keep(const DenoiseState& s) {
    memory.clear();
    auto copy = [&](const TensorView& v) {
      memory.push_back(must(arena.make(v.dtype, v.shape)));
      std::memcpy(memory.back().data(), v.data, v.bytes());
      return memory.back().view();
    };
    state = s;
    state.latents = copy(s.latents);
    for (auto& [name, view] : state.solver) view = copy(view);
  }
};

Result<Tensor> denoise_on(HostDevice& device, Arena& host, const DenoiseState* resume, Saved* saved) {
  OpTable table;
  add_cuda_ops(table);
  Arena memory(std::numeric_limits<size_t>::max(), &device);
  ExecContext ctx;
  ctx.ops = &table, ctx.arena = &memory, ctx.host = &host;
  auto pipeline = must(TextToVideo::open(ZT_SOURCE_DIR "/tests/golden/pipelines/heads2x12", DType::f32));
  Tensor embeds = must(host.zeros(DType::f32, {2, pipeline->model().transformer_config.text_dim}));
  DenoiseRequest r;
  r.embeds = embeds, r.guidance = 1, r.steps = 3, r.attention = must(make_policy("dense")), r.resume = resume;
  DenoiseHooks hooks;
  if (saved) hooks.save = [&](const DenoiseState& s) { saved->keep(s); };
  return pipeline->denoise({32, 32, 5}, r, hooks, ctx);
}

TEST(CudaModelFaults, LostDeviceLeavesACheckpoint) {
  Arena host;
  HostDevice good;
  std::vector<float> whole = to_floats(must(denoise_on(good, host, nullptr, nullptr)));
  HostDevice bad;
  bad.waits_left = 8;  // in the second step: one looks at the velocity, one at the latents, and what a checkpoint needs
  Saved saved;
  auto lost = denoise_on(bad, host, nullptr, &saved);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.status().code(), Code::kDeviceLost);
  ASSERT_GE(saved.state.step, 1);
  ASSERT_LT(saved.state.step, 3);
  HostDevice again;
  EXPECT_EQ(to_floats(must(denoise_on(again, host, &saved.state, nullptr))), whole) << "going on gives the same bits";
}

TEST(CudaModelFaults, FullDeviceRefusesWithTheSize) {
  HostDevice device;
  Arena memory(1 << 20, &device);
  auto r = memory.make(DType::f32, {1 << 20});
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.status().code(), Code::kTooBig);
}

}  // namespace
}  // namespace zt::testing
