// Loading: names of both sources, refusals, and the trained weights of the embedded model.
#include <cmath>
#include <regex>

#include "model/config/config.h"
#include "tests/model/vae_support.h"

namespace zt::testing {
namespace {

VaeConfig small() { return vae_config(8, 16, {1, 2, 4, 4}, 1, {false, true, true}); }

// diffusers name -> name of the original repository (wan/modules/vae.py): sequential indices, one flat list a half.
std::string original_name(const std::string& name, int64_t res_blocks) {
  static const std::vector<std::pair<std::regex, std::string>> kRules = {
      {std::regex("^post_quant_conv"), "conv2"},
      {std::regex("^quant_conv"), "conv1"},
      {std::regex("conv_in"), "conv1"},
      {std::regex("norm_out"), "head.0"},
      {std::regex("conv_out"), "head.2"},
      {std::regex("mid_block.resnets.0"), "middle.0"},
      {std::regex("mid_block.attentions.0"), "middle.1"},
      {std::regex("mid_block.resnets.1"), "middle.2"},
      {std::regex("down_blocks"), "downsamples"},
      {std::regex("norm1.gamma"), "residual.0.gamma"},
      {std::regex("norm2.gamma"), "residual.3.gamma"},
      {std::regex("([0-9])\\.conv1\\."), "$1.residual.2."},
      {std::regex("\\.conv2\\."), ".residual.6."},
      {std::regex("conv_shortcut"), "shortcut"},
  };
  std::string n = name;
  std::smatch m;
  if (std::regex_search(n, m, std::regex("up_blocks\\.(\\d+)\\.(resnets|upsamplers)\\.(\\d+)"))) {
    int64_t per_block = res_blocks + 2, in_block = m[2] == "resnets" ? std::stoll(m[3]) : res_blocks + 1;
    n = m.prefix().str() + fmt::format("upsamples.{}", std::stoll(m[1]) * per_block + in_block) + m.suffix().str();
  }
  for (const auto& [from, to] : kRules) n = std::regex_replace(n, from, to);
  return n;
}

TEST(VaeWeights, OriginalNamesGiveTheSamePixels) {
  auto m = make_machine();
  for (const VaeConfig& config : {small(), vae_config(8, 16, {1, 2, 4, 4}, 2, {false, true, true})}) {
    WeightStore store = vae_store(config, [&](const std::string& n) { return original_name(n, config.num_res_blocks); });
    ASSERT_TRUE(store.has("decoder.middle.0.residual.2.weight"));
    auto decoder = must(VaeDecoder::load(config, store, DType::f32, m->ctx));
    auto encoder = must(VaeEncoder::load(config, store, DType::f32, m->ctx));
    Tensor z = test_latents(m->arena, 16, {2, 2, 2});
    EXPECT_EQ(decode_clip(*decoder, z, m->ctx), decode_clip(*decoder_of(config, DType::f32, m->ctx), z, m->ctx));
    EXPECT_EQ(encode_clip(*encoder, {1, 16, 16}, m->ctx), encode_clip(*encoder_of(config, DType::f32, m->ctx), {1, 16, 16}, m->ctx));
  }
}

TEST(VaeWeights, HalfPrecisionFilesLoad) {
  auto m = make_machine();
  WeightStore store = vae_store(small(), {}, DType::bf16);
  auto decoder = must(VaeDecoder::load(small(), store, DType::f32, m->ctx));
  Tensor z = test_latents(m->arena, 16, {1, 2, 2});
  auto exact = decode_clip(*decoder_of(small(), DType::f32, m->ctx), z, m->ctx);
  EXPECT_LE(nmse(decode_clip(*decoder, z, m->ctx), exact), 1e-3);
}

TEST(VaeWeights, OneHalfDoesNotNeedTheOther) {
  auto m = make_machine();
  auto without = [](std::string_view prefix) {
    return [prefix = std::string(prefix)](const std::string& n) { return n.starts_with(prefix) ? "unknown." + n : n; };
  };
  WeightStore no_encoder = vae_store(small(), without("encoder."));
  Status s = VaeDecoder::load(small(), no_encoder, DType::f32, m->ctx).status();
  EXPECT_EQ(s.code(), Code::kBadModel);  // because of the unknown tensors, not of the missing ones
  EXPECT_NE(s.message().find("unknown.encoder.conv_in.weight"), std::string::npos) << s.message();
  EXPECT_EQ(s.message().find("missing"), std::string::npos) << s.message();
}

TEST(VaeWeights, RefusalsNameTheTensor) {
  auto m = make_machine();
  WeightStore renamed = vae_store(small(), [](const std::string& n) { return n == "decoder.conv_out.bias" ? "decoder.conv_out.bios" : n; });
  Status s = VaeDecoder::load(small(), renamed, DType::f32, m->ctx).status();
  EXPECT_EQ(s.code(), Code::kBadModel);
  EXPECT_NE(s.message().find("decoder.conv_out.bias"), std::string::npos) << s.message();
  EXPECT_NE(s.message().find("decoder.conv_out.bios"), std::string::npos) << s.message();

  WeightStore other = vae_store(small());
  EXPECT_EQ(VaeDecoder::load(vae_config(16, 16, {1, 2, 4, 4}, 1, {false, true, true}), other, DType::f32, m->ctx).status().code(),
            Code::kBadModel);
  WeightStore whole = vae_store(small());
  ZT_ASSERT_OK(check_vae_weights(small(), whole));
  // An odd width halves to nothing.
  WeightStore any = vae_store(small());
  EXPECT_EQ(VaeDecoder::load(vae_config(1, 16, {1, 1}, 1, {true}), any, DType::f32, m->ctx).status().code(), Code::kBadModel);
}

// A moving picture: soft shapes, colours and a gradient, as natural to the codec as anything made of sines can be.
std::vector<float> picture(int64_t t, int64_t size) {
  std::vector<float> v;
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const double dx = double(x) - 20 - 2 * double(t), dy = double(y) - 30, disc = 1 / (1 + std::exp((std::sqrt(dx * dx + dy * dy) - 12) * 2));
      const double sky = -0.2 + 0.8 * double(y) / double(size);
      v.push_back(float(sky * (1 - disc) + 0.8 * disc));
      v.push_back(float(0.3 * (1 - disc) - 0.4 * disc));
      v.push_back(float((0.7 - sky) * (1 - disc) - 0.6 * disc));
    }
  }
  return v;
}

TEST(VaeWeights, EmbeddedModelKeepsAPicture) {
  const std::string folder = std::string(ZT_SOURCE_DIR) + "/assets/mini/vae";
  auto m = make_machine();
  const VaeConfig config = must(read_vae_config(folder + "/config.json"));
  WeightStore store = must(WeightStore::open(folder));
  auto encoder = must(VaeEncoder::load(config, store, DType::f32, m->ctx));
  auto decoder = must(VaeDecoder::load(config, store, DType::f32, m->ctx));
  constexpr int64_t kSize = 64, kFrames = 9;
  ZT_ASSERT_OK(encoder->begin(kSize, kSize, m->ctx));
  ZT_ASSERT_OK(decoder->begin(kSize / 8, kSize / 8, m->ctx));
  double error = 0;
  int64_t shown = 0;
  auto compare = [&](const TensorView& f) {
    auto expected = picture(shown++, kSize);
    for (size_t i = 0; i < expected.size(); ++i) error += std::pow(double(f.as<float>()[i]) - double(expected[i]), 2);
    return ok_status();
  };
  auto back = [&](const TensorView& z) { return decoder->push(z, compare, m->ctx); };
  for (int64_t t = 0; t < kFrames; ++t) {
    auto v = picture(t, kSize);
    ZT_ASSERT_OK(encoder->push(TensorView(v.data(), DType::f32, {kSize, kSize, 3}), back, m->ctx));
  }
  ASSERT_EQ(shown, kFrames);
  const double psnr = 10 * std::log10(4 / (error / double(kFrames * kSize * kSize * 3)));
  EXPECT_GE(psnr, 22) << psnr;
}

}  // namespace
}  // namespace zt::testing
