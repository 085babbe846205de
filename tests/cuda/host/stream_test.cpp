// Weights that come block by block (model/io/block_stream.h): the same bits as resident ones, two buffers in turns, no more device
// memory than the estimate says.
#include <gmock/gmock.h>

#include <cstring>
#include <numeric>

#include "kernels/api/transfer.h"
#include "kernels/cuda/cuda.h"
#include "model/io/block_stream.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"
#include "tests/support/cuda_host_ops/host_device.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

struct Card {
  explicit Card(size_t budget = std::numeric_limits<size_t>::max()) : memory(budget, &device) {
    add_cuda_ops(table);
    ctx.ops = &table, ctx.arena = &memory, ctx.host = &host;
  }
  OpTable table;
  HostDevice device;
  Arena host, memory;
  ExecContext ctx;
};

// Blocks of two vectors, told apart by their values, and the stream they come by.
struct Chain {
  BlockStream stream;
  std::vector<std::array<Tensor, 2>> blocks;

  static std::vector<float> values(int64_t block, int64_t n) {
    std::vector<float> v(static_cast<size_t>(n));
    std::iota(v.begin(), v.end(), float(1000 * block));
    return v;
  }
  static int64_t length(int64_t block, int64_t i) { return 100 + 7 * block + 300 * i; }

  static Chain make(int64_t count, const ExecContext& ctx) {
    Chain c;
    c.stream = must(BlockStream::make({.block = 8000, .blocks = count, .tensors = 2}, ctx));
    for (int64_t b = 0; b < count; ++b) {
      ExecContext packing = c.stream.packing(b, ctx);
      auto& block = c.blocks.emplace_back();
      for (int64_t i = 0; i < 2; ++i) {
        auto v = values(b, length(b, i));
        block[size_t(i)] = must(to_device(TensorView(v.data(), DType::f32, {length(b, i)}), DType::f32, {length(b, i)}, packing));
      }
    }
    return c;
  }
  // Reads a block as a kernel would; whether it is what was packed.
  bool read(int64_t b, const ExecContext& ctx) const {
    bool same = true;
    for (int64_t i = 0; i < 2; ++i) same = same && to_floats(must(to_host(blocks[size_t(b)][size_t(i)], ctx)).view) == values(b, length(b, i));
    return same;
  }
};

TEST(BlockStream, EveryBlockIsThereWhenItIsUsed) {
  const ChainBytes of_a_block{.block = 8000, .tensors = 2};
  for (int64_t count = 1; count <= 6; ++count) {
    Card card;
    {
      Chain c = Chain::make(count, card.ctx);
      EXPECT_LE(card.memory.current(), of_a_block.streamed());
      for (int64_t n = 0; n < 3 * count; ++n) {
        c.stream.use(n % count);
        EXPECT_TRUE(c.read(n % count, card.ctx)) << "block " << n << " of " << count;
      }
      for (int64_t b : {count - 1, int64_t(0), count / 2}) {  // in any order
        c.stream.use(b);
        EXPECT_TRUE(c.read(b, card.ctx));
      }
      EXPECT_EQ(card.device.copies()->pinned(), 1u);
    }
    EXPECT_THAT(card.device.copies()->faults, IsEmpty()) << count;
    EXPECT_EQ(card.memory.current() + card.host.current() + card.device.copies()->pinned(), 0u) << count;
  }
}

TEST(BlockStream, OfTwoBlocksAllIsCopiedOnce) {
  Card card;
  Chain c = Chain::make(2, card.ctx);
  for (int n = 0; n < 6; ++n) c.stream.use(n % 2);
  EXPECT_EQ(std::ranges::count(card.device.copies()->order, 'c'), 2);
}

TEST(BlockStream, WithoutAWaitItWouldBeSeen) {
  using Forget = HostCopies::Forget;
  for (Forget forget : {Forget::work_waits, Forget::copies_wait}) {
    Card card;
    Chain c = Chain::make(4, card.ctx);
    card.device.copies()->forget = forget;
    bool same = true;
    for (int64_t n = 0; n < 8; ++n) {
      c.stream.use(n % 4);
      same = c.read(n % 4, card.ctx) && same;
    }
    EXPECT_EQ(same, forget == Forget::copies_wait);
    EXPECT_EQ(card.device.copies()->faults.empty(), forget == Forget::work_waits);
    card.device.copies()->forget = Forget::nothing;
  }
}

TEST(BlockStream, GoesOnWhereTheSystemLocksNoMemory) {
  Card card;
  card.device.copies()->locks = false;
  std::string said;
  card.ctx.warn = [&](std::string_view line) { said = line; };
  {
    Chain c = Chain::make(3, card.ctx);
    c.stream.use(1);
    EXPECT_TRUE(c.read(1, card.ctx));
  }
  EXPECT_THAT(said, ::testing::HasSubstr("does not lock"));
  EXPECT_THAT(card.device.copies()->faults, IsEmpty());
}

struct Clip {
  std::vector<float> embeds, latents, frames;
  bool operator==(const Clip&) const = default;
};

std::unique_ptr<TextToVideo> open_tiny(const std::string& model, DType compute = DType::f32) {
  return must(TextToVideo::open(ZT_SOURCE_DIR "/tests/golden/pipelines/" + model, compute));
}

Result<Clip> sample(TextToVideo& pipeline, const ClipShape& shape, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(TokenIds ids, pipeline.tokenize("a red ball"));
  ZT_ASSIGN_OR_RETURN(Tensor embeds, pipeline.embed(ids, ctx));
  DenoiseRequest r;
  r.embeds = r.negative_embeds = embeds, r.steps = 2, r.guidance = 2;
  r.attention = must(make_policy("dense"));
  ZT_ASSIGN_OR_RETURN(Tensor latents, pipeline.denoise(shape, r, {}, ctx));
  return Clip{to_floats(embeds), to_floats(latents), {}};
}

// Prompt to frames on a device of its own: host execution has one at a time.
Clip render(const std::string& model, DType compute, const Placement& placement, std::string& order) {
  Card card;
  Clip clip;
  {
    auto pipeline = open_tiny(model, compute);
    pipeline->place(placement);
    clip = must(sample(*pipeline, {32, 32, 5}, card.ctx));
    order = card.device.copies()->order;
    auto sink = [&](const TensorView& f) {
      auto v = to_floats(f);
      clip.frames.insert(clip.frames.end(), v.begin(), v.end());
      return ok_status();
    };
    Tensor latents = must(card.host.make(DType::f32, must(latent_shape(pipeline->model(), {32, 32, 5}))));
    std::copy(clip.latents.begin(), clip.latents.end(), latents.as<float>());
    EXPECT_TRUE(pipeline->decode(latents, false, sink, card.ctx).ok());
  }
  EXPECT_THAT(card.device.copies()->faults, IsEmpty());
  EXPECT_EQ(card.memory.current() + card.host.current() + card.device.copies()->pinned(), 0u);
  return clip;
}

class StreamedModel : public ::testing::TestWithParam<const char*> {};

TEST_P(StreamedModel, MakesTheSameBits) {
  for (DType compute : {DType::f32, DType::bf16}) {
    std::string kept, came;
    Clip want = render(GetParam(), compute, {.together = true}, kept);
    Clip got = render(GetParam(), compute, {.text_streamed = true, .transformer_streamed = true}, came);
    EXPECT_TRUE(got == want) << dtype_name(compute);
    EXPECT_EQ(std::ranges::count(kept, 'c'), 0);
    EXPECT_GE(std::ranges::count(came, 'c'), 4);
  }
}

// Three layers in the transformer and two in the text encoder; one and three; two and three.
INSTANTIATE_TEST_SUITE_P(Models, StreamedModel, ::testing::Values("heads4x6", "heads3x10", "heads2x24"),
                         [](const auto& test) { return std::string(test.param); });

// The embedded model: seven layers and three, large enough that its weights are most of what is held.
TEST(StreamedModel, TakesWhatTheEstimateSays) {
  const ClipShape shape{32, 32, 1};
  constexpr int64_t kRows = 8;
  auto open = [] { return must(TextToVideo::open(ZT_SOURCE_DIR "/assets/mini", DType::f32)); };
  auto estimate = [&](size_t budget) {
    Card card(budget);
    return must(open()->estimate(shape, kRows, false, card.ctx));
  };
  const MemoryEstimate loose = estimate(size_t(1) << 40), tight = estimate(1);
  EXPECT_EQ(loose.placement, Placement{.together = true});
  EXPECT_EQ(loose.host(), 0u);
  EXPECT_EQ(tight.placement, (Placement{.text_streamed = true, .transformer_streamed = true}));
  EXPECT_EQ(tight.host(), std::max(tight.text_weights.streamed_host(), tight.transformer_weights.streamed_host()));
  EXPECT_LT(tight.denoise, loose.denoise / 2);
  // With as much as streaming the transformer needs, the text encoder is resident.
  const MemoryEstimate chosen = estimate(tight.denoise);
  EXPECT_EQ(chosen.placement, (Placement{.transformer_streamed = true}));
  EXPECT_EQ(chosen.denoise, tight.denoise);

  struct Run {
    std::vector<float> latents;
    size_t peak = 0, host_peak = 0;
  };
  auto denoise = [&](const Placement& placement, size_t budget) {
    Card card(budget);
    auto pipeline = open();
    pipeline->place(placement);
    Tensor embeds = must(card.host.zeros(DType::f32, {kRows, pipeline->model().transformer_config.text_dim}));
    DenoiseRequest r;
    r.embeds = r.negative_embeds = embeds, r.steps = 1, r.attention = must(make_policy("dense"));
    Run run{to_floats(must(pipeline->denoise(shape, r, {}, card.ctx))), card.memory.peak(), card.host.peak()};
    pipeline.reset();
    EXPECT_THAT(card.device.copies()->faults, IsEmpty());
    return run;
  };
  const Run all = denoise(loose.placement, size_t(1) << 40), some = denoise(chosen.placement, chosen.denoise);
  EXPECT_EQ(some.latents, all.latents);
  EXPECT_LE(some.peak, chosen.denoise);
  EXPECT_GE(double(some.peak), 0.9 * double(chosen.denoise));
  EXPECT_LE(some.host_peak, chosen.host() + (size_t(1) << 20));
  EXPECT_GT(all.peak, 2 * some.peak);
}

// c a copy, j each queue waits for the other, w work: a copy stands before the work on the block before it, so they run together.
TEST(StreamedModel, TheNextBlockIsCopiedWhileOneComputes) {
  Card card;
  auto pipeline = open_tiny("heads4x6");
  pipeline->place({.transformer_streamed = true});
  Tensor embeds = must(card.host.zeros(DType::f32, {2, pipeline->model().transformer_config.text_dim}));
  DenoiseRequest r;
  r.embeds = embeds, r.steps = 2, r.guidance = 1, r.attention = must(make_policy("dense"));
  must(pipeline->denoise({32, 32, 5}, r, {}, card.ctx));
  // The prompt's keys and values, then two passes. Of three blocks the first and the last share a buffer: a pass begins with a
  // wait for the first one's copy, and the second one is still there.
  const std::string text = "jcjcw" "jcw" "jw", pass = "jcjw" "jcw" "jw";
  EXPECT_EQ(card.device.copies()->order, "w" + text + pass + pass);
}

TEST(StreamedModel, AnyAllocationMayFail) {
  for (bool on_host : {false, true}) {
    bool done = false;
    for (int64_t n = 0; n < 2000 && !done; ++n) {
      Card card;
      Arena& arena = on_host ? card.host : card.memory;
      {
        auto pipeline = open_tiny("heads4x6");
        pipeline->place({.text_streamed = true, .transformer_streamed = true});
        arena.fail_at(n);
        auto clip = sample(*pipeline, {32, 32, 1}, card.ctx);
        done = clip.ok();
        ASSERT_EQ(clip.status().code(), done ? Code::kOk : Code::kTooBig) << clip.status().message();
      }
      ASSERT_EQ(card.memory.current() + card.host.current() + card.device.copies()->pinned(), 0u) << "allocation " << n;
      ASSERT_THAT(card.device.copies()->faults, IsEmpty()) << "allocation " << n;
    }
    EXPECT_TRUE(done);
  }
}

}  // namespace
}  // namespace zt::testing
