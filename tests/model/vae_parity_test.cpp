// Against diffusers: see tests/golden/vae_golden.py.
#include <cmath>

#include "tests/model/vae_support.h"

namespace zt::testing {
namespace {

// Sums of at most a few thousand products a layer, in f32 on either side, over some thirty layers of values about 1; the
// residual path adds the layers' errors up.
constexpr double kTolerance = 2e-5;

class VaeParity : public ::testing::TestWithParam<const char*> {};

TEST_P(VaeParity, TensorNamesAndShapes) {
  VaeCase c = vae_case(GetParam());
  EXPECT_EQ(tensors_hash(c.config), c.hash);
}

TEST_P(VaeParity, Decode) {
  VaeCase c = vae_case(GetParam());
  for (Isa isa : {Isa::generic, detect_isa()}) {
    auto m = make_machine(isa);
    auto vae = decoder_of(c.config, DType::f32, m->ctx);
    auto frames = decode_clip(*vae, test_latents(m->arena, c.config.z_dim, c.latent), m->ctx);
    EXPECT_LE(max_abs_diff(frames, c.expected.at("frames")), kTolerance) << isa_name(isa);
  }
}

TEST_P(VaeParity, Encode) {
  VaeCase c = vae_case(GetParam());
  for (Isa isa : {Isa::generic, detect_isa()}) {
    auto m = make_machine(isa);
    auto vae = encoder_of(c.config, DType::f32, m->ctx);
    auto latent = encode_clip(*vae, c.video, m->ctx);
    EXPECT_LE(max_abs_diff(latent, c.expected.at("latent")), kTolerance) << isa_name(isa);
  }
}

// Frames between come in 8 bits and seams in bf16, hence half a step of 2 / 255 and a little.
TEST(VaeTiled, BlendsAsDiffusersDoes) {
  VaeCase c = vae_case("tiled");
  auto m = make_machine();
  auto vae = decoder_of(c.config, DType::f32, m->ctx);
  Tensor z = test_latents(m->arena, c.config.z_dim, c.latent);
  std::vector<float> seen;
  auto sink = [&](const TensorView& f) {
    for (int64_t y = 0; y < f.dim(0); y += 3) {
      for (int64_t x = 0; x < f.dim(1); x += 3) seen.insert(seen.end(), f.as<float>() + (y * f.dim(1) + x) * 3, f.as<float>() + (y * f.dim(1) + x + 1) * 3);
    }
    return ok_status();
  };
  ZT_ASSERT_OK(decode_tiled(*vae, c.config, z, sink, m->ctx));
  EXPECT_LE(max_abs_diff(seen, c.expected.at("tiled")), 1.0 / 255 + 1.0 / 256);
}

TEST(VaeTiled, OneTileIsTheExactDecode) {
  VaeConfig config = vae_config(8, 4, {1, 2}, 1, {true});
  auto m = make_machine();
  auto vae = decoder_of(config, DType::f32, m->ctx);
  Tensor z = test_latents(m->arena, 4, {2, 6, 5});
  std::vector<float> seen;
  auto sink = [&](const TensorView& f) {
    auto v = to_floats(f);
    seen.insert(seen.end(), v.begin(), v.end());
    return ok_status();
  };
  ZT_ASSERT_OK(decode_tiled(*vae, config, z, sink, m->ctx));
  EXPECT_EQ(seen, decode_clip(*vae, z, m->ctx));
}

INSTANTIATE_TEST_SUITE_P(Golden, VaeParity, 
                         ::testing::Values("base3", "base4_res2", "base8", "one_frame", "two_blocks", "no_time", "time_first", "decoder6"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace zt::testing
