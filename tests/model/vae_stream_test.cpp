// What the stream promises whatever the weights: bits, memory, names, cancelling, types, tiles.
#include <atomic>
#include <cmath>

#include "model/config/config.h"
#include "tests/model/vae_support.h"

namespace zt::testing {
namespace {

VaeConfig small() { return vae_config(8, 16, {1, 2, 4, 4}, 1, {false, true, true}); }

TEST(VaeStream, SecondClipHasTheSameBits) {
  auto m = make_machine();
  auto vae = decoder_of(small(), DType::f32, m->ctx);
  Tensor z = test_latents(m->arena, 16, {3, 3, 4});
  auto first = decode_clip(*vae, z, m->ctx);
  decode_clip(*vae, test_latents(m->arena, 16, {2, 5, 2}), m->ctx);  // another size between
  EXPECT_EQ(first, decode_clip(*vae, z, m->ctx));
  EXPECT_EQ(first, decode_clip(*vae, z, m->ctx));  // the same size again: buffers are reused
}

TEST(VaeStream, ThreadsDoNotChangeBits) {
  for (DType t : {DType::f32, DType::bf16}) {
    std::vector<std::vector<float>> decoded, encoded;
    for (int threads : {1, 2, 3}) {
      auto m = make_machine(detect_isa(), threads);
      decoded.push_back(decode_clip(*decoder_of(small(), t, m->ctx), test_latents(m->arena, 16, {2, 3, 5}), m->ctx));
      encoded.push_back(encode_clip(*encoder_of(small(), t, m->ctx), {5, 24, 40}, m->ctx));
    }
    EXPECT_EQ(decoded[0], decoded[1]);
    EXPECT_EQ(decoded[0], decoded[2]);
    EXPECT_EQ(encoded[0], encoded[1]);
    EXPECT_EQ(encoded[0], encoded[2]);
  }
}

TEST(VaeStream, LatentsOfAnyStrides) {
  auto m = make_machine();
  auto vae = decoder_of(small(), DType::f32, m->ctx);
  Tensor z = test_latents(m->arena, 16, {2, 3, 4});
  Tensor turned = must(m->arena.make(DType::f32, {4, 3, 2, 16}));
  auto v = to_floats(z.view().permute({3, 2, 1, 0}));
  std::copy(v.begin(), v.end(), turned.as<float>());
  EXPECT_EQ(decode_clip(*vae, z, m->ctx), decode_clip(*vae, turned.view().permute({3, 2, 1, 0}), m->ctx));
}

TEST(VaeStream, DecodeMemoryIsTheEstimateAtAnyLength) {
  for (DType t : {DType::f32, DType::bf16}) {
    size_t peaks[2];
    for (int i = 0; i < 2; ++i) {
      auto m = make_machine();
      Tensor z = test_latents(m->arena, 16, {i ? 9 : 2, 8, 12});
      m->arena.reset_peak();
      const size_t before = m->arena.current();
      auto vae = decoder_of(small(), t, m->ctx);
      EXPECT_NEAR(double(vae->weight_bytes()), double(m->arena.current() - before), 0.02 * double(vae->weight_bytes()));
      decode_clip(*vae, z, m->ctx);
      peaks[i] = m->arena.peak() - before;
      const VaeMemory e = vae_decode_memory(small(), 8, 12, t, m->ctx);
      EXPECT_NEAR(double(e.total()), double(peaks[i]), 0.02 * double(peaks[i])) << dtype_name(t);
      vae->end();
      vae.reset();
      EXPECT_EQ(m->arena.current(), before);
    }
    EXPECT_EQ(peaks[0], peaks[1]);
  }
}

TEST(VaeStream, EncodeMemoryIsTheEstimateAtAnyLength) {
  size_t peaks[2];
  for (int i = 0; i < 2; ++i) {
    auto m = make_machine();
    auto vae = encoder_of(small(), DType::f32, m->ctx);
    encode_clip(*vae, {i ? 17 : 5, 64, 96}, m->ctx);
    peaks[i] = m->arena.peak();
    const VaeMemory e = vae_encode_memory(small(), 8, 12, DType::f32, m->ctx);
    EXPECT_NEAR(double(e.total()), double(peaks[i]), 0.02 * double(peaks[i]));
  }
  EXPECT_EQ(peaks[0], peaks[1]);
}

TEST(VaeStream, TiledMemoryIsTheEstimate) {
  auto m = make_machine();
  auto vae = decoder_of(small(), DType::bf16, m->ctx);
  const size_t before = m->arena.current() - vae->weight_bytes();
  Tensor z = test_latents(m->arena, 16, {2, 10, 22});
  const size_t latents = z.view().bytes();
  m->arena.reset_peak();
  int64_t shown = 0;
  auto sink = [&](const TensorView& f) {
    EXPECT_EQ(f.shape, (Shape{80, 176, 3}));
    ++shown;
    return ok_status();
  };
  ZT_ASSERT_OK(decode_tiled(*vae, small(), z, sink, m->ctx));
  EXPECT_EQ(shown, 5);
  const double peak = double(m->arena.peak() - before - latents);
  EXPECT_NEAR(double(vae_tiled_memory(small(), 10, 22, 2, DType::bf16, m->ctx).total()), peak, 0.1 * peak);
}

// The limits of the real model, by the estimate that the tests above hold to the truth.
TEST(VaeStream, RealSizeFits) {
  auto m = make_machine();
  const VaeConfig wan = vae_config(96, 16, {1, 2, 4, 4}, 2, {false, true, true});
  const VaeMemory small_clip = vae_decode_memory(wan, 32, 32, DType::bf16, m->ctx), large = vae_decode_memory(wan, 60, 104, DType::bf16, m->ctx);
  EXPECT_LE(small_clip.cache + small_clip.activations, 500e6);
  EXPECT_LE(large.total(), 2.6e9);
  const VaeMemory tiled = vae_tiled_memory(wan, 60, 104, 21, DType::bf16, m->ctx);
  EXPECT_LE(tiled.cache + tiled.activations, 300e6);
}

TEST(VaeStream, Bf16IsCloseToF32) {
  auto m = make_machine();
  Tensor z = test_latents(m->arena, 16, {3, 4, 6});
  auto exact = decode_clip(*decoder_of(small(), DType::f32, m->ctx), z, m->ctx);
  EXPECT_LE(nmse(decode_clip(*decoder_of(small(), DType::bf16, m->ctx), z, m->ctx), exact), 1e-3);
  auto latent = encode_clip(*encoder_of(small(), DType::f32, m->ctx), {5, 32, 48}, m->ctx);
  EXPECT_LE(nmse(encode_clip(*encoder_of(small(), DType::bf16, m->ctx), {5, 32, 48}, m->ctx), latent), 1e-3);
}

TEST(VaeStream, CancelStopsWithinABlockAndTheNextClipIsRight) {
  auto m = make_machine();
  std::atomic<bool> stop = false;
  auto vae = decoder_of(small(), DType::f32, m->ctx);
  Tensor z = test_latents(m->arena, 16, {3, 3, 3});
  auto whole = decode_clip(*vae, z, m->ctx);
  m->ctx.cancel = &stop;
  ZT_ASSERT_OK(vae->begin(3, 3, m->ctx));
  int shown = 0;
  auto sink = [&](const TensorView&) {
    stop = ++shown == 2;
    return ok_status();
  };
  ZT_ASSERT_OK(vae->push(z.view().select(1, 0), sink, m->ctx));
  EXPECT_EQ(vae->push(z.view().select(1, 1), sink, m->ctx).code(), Code::kCancelled);
  EXPECT_EQ(shown, 2);
  stop = false;
  EXPECT_EQ(whole, decode_clip(*vae, z, m->ctx));
}

TEST(VaeStream, SinkErrorStopsTheStream) {
  auto m = make_machine();
  auto vae = decoder_of(small(), DType::f32, m->ctx);
  Tensor z = test_latents(m->arena, 16, {1, 2, 2});
  ZT_ASSERT_OK(vae->begin(2, 2, m->ctx));
  Status s = vae->push(z.view().select(1, 0), [](const TensorView&) { return failed("disk full"); }, m->ctx);
  EXPECT_EQ(s.message(), "disk full");
}

TEST(VaeStream, OutOfMemoryIsAnError) {
  auto m = make_machine();
  auto vae = decoder_of(small(), DType::f32, m->ctx);
  const size_t before = m->arena.current();
  for (int n = 0; n < 20; ++n) {
    m->arena.fail_at(n);
    Status s = vae->begin(4, 4, m->ctx);
    vae->end();
    EXPECT_EQ(m->arena.current(), before);
    if (s.ok()) break;
    EXPECT_EQ(s.code(), Code::kTooBig);
  }
  m->arena.fail_at(-1);
  EXPECT_FALSE(decode_clip(*vae, test_latents(m->arena, 16, {1, 4, 4}), m->ctx).empty());
}

TEST(VaeStream, NormaliseAndBack) {
  Arena arena;
  VaeConfig c = vae_config(8, 2, {1}, 1, {});
  c.latents_mean = {1, -2}, c.latents_std = {2, 0.5};
  Tensor z = must(arena.make(DType::f32, {2, 1, 1, 2}));
  const float values[] = {3, 1, -1, -2.25};
  std::copy_n(values, 4, z.as<float>());
  normalise_latents(c, z);
  EXPECT_EQ(to_floats(z), (std::vector<float>{1, 0, 2, -0.5}));
  denormalise_latents(c, z);
  EXPECT_EQ(to_floats(z), std::vector<float>(values, values + 4));
}

}  // namespace
}  // namespace zt::testing
