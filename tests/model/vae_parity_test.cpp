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

INSTANTIATE_TEST_SUITE_P(Golden, VaeParity, 
                         ::testing::Values("base3", "base4_res2", "base8", "one_frame", "two_blocks", "no_time", "time_first", "decoder6"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace zt::testing
