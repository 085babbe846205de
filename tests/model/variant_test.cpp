// Variants of a small random-weight pipeline: the merged model is the model with merged weights, and what is refused.
#include "model/config/variant.h"

#include <algorithm>
#include <cstring>

#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"
#include "tests/model/io_support.h"
#include "tests/support/variant_files.h"

namespace zt {
namespace {

using namespace zt::testing;

const std::string kBase = source_file("tests/golden/pipelines/heads2x12");

class VariantOfASmallModel : public ::testing::TestWithParam<DType> {
 protected:
  TransformerConfig config() { return must(open_model_folder(kBase)).transformer_config; }
  // Latents of two steps.
  Result<std::vector<float>> latents(const std::string& root, const std::string& attn = "dense", std::vector<double> sigmas = {}) {
    auto m = make_machine();
    m->ctx.warn = [this](std::string_view line) { notes += std::string(line) + "\n"; };
    ZT_ASSIGN_OR_RETURN(auto model, TextToVideo::open(root, GetParam()));
    ZT_ASSIGN_OR_RETURN(TokenIds ids, model->tokenize("a red ball"));
    ZT_ASSIGN_OR_RETURN(Tensor embeds, model->embed(ids, m->ctx));
    DenoiseRequest r;
    r.embeds = embeds, r.steps = sigmas.empty() ? 2 : int64_t(sigmas.size()), r.sigmas = std::move(sigmas), r.guidance = 1;
    r.sampler = SamplerKind::euler, r.attention = must(make_policy(attn));
    ZT_ASSIGN_OR_RETURN(Tensor made, model->denoise({32, 32, 5}, r, {}, m->ctx));
    return to_floats(made);
  }
  std::string folder = test_folder(), notes;
};

TEST_P(VariantOfASmallModel, ADeltaOfZerosMakesTheSameLatents) {
  write_variant(folder + "/v", kBase, config(), {});
  EXPECT_EQ(must(latents(folder + "/v")), must(latents(kBase)));
  EXPECT_THAT(notes, ::testing::HasSubstr("variant v: 20 matrices changed, every key of the delta used"));
}

// The reference writes W + alpha / rank B A as f32 weights of a model of its own.
TEST_P(VariantOfASmallModel, IsTheModelWithMergedWeights) {
  const double alpha = 6;
  DeltaRule rule{.rank = 3, .size = 0.2f};
  write_variant(folder + "/v", kBase, config(), rule, R"(, "alpha": 6)");
  std::filesystem::copy(kBase, folder + "/merged", std::filesystem::copy_options::recursive);
  auto base = must(SafetensorsFile::open(kBase + "/transformer/diffusion_pytorch_model.safetensors"));
  auto delta = must(LowRank::open(folder + "/v/delta.safetensors", rule.rank, alpha));
  Arena arena;
  NamedTensors weights;
  for (const auto& [name, view] : base.tensors) {
    Tensor t = must(arena.make(DType::f32, view.shape));
    convert_floats(view.data, view.dtype, t.data(), DType::f32, view.count());
    if (auto pair = delta->pairs().find(name); pair != delta->pairs().end()) delta->merge(pair->second, view, t.as<float>(), 1);
    weights.emplace_back(name, std::move(t));
  }
  ZT_ASSERT_OK(write_named(folder + "/merged/transformer/diffusion_pytorch_model.safetensors", weights));
  auto merged = must(latents(folder + "/merged"));
  EXPECT_EQ(must(latents(folder + "/v")), merged);
  EXPECT_NE(must(latents(kBase)), merged);
}

TEST_P(VariantOfASmallModel, BringsTheProjectionOfSparseLinearAttention) {
  write_variant(folder + "/sla", kBase, config(), {.projection = true});
  write_variant(folder + "/plain", kBase, config(), {});
  auto sla = must(TextToVideo::open(folder + "/sla", GetParam())), plain = must(TextToVideo::open(folder + "/plain", GetParam()));
  EXPECT_TRUE(must(sla->has_projection()));
  EXPECT_FALSE(must(plain->has_projection()));
  ZT_ASSERT_OK(sla->verify());
  auto m = make_machine();
  auto more = must(sla->estimate({32, 32, 5}, 8, false, m->ctx)), less = must(plain->estimate({32, 32, 5}, 8, false, m->ctx));
  EXPECT_EQ(more.weights - less.weights, size_t(2 * (12 * 12 + 12) * 4));
  const std::string attn = "sla:keep=0.5,block_q=64,block_k=64";
  EXPECT_NE(must(latents(folder + "/sla", attn)), must(latents(folder + "/plain", attn)));
}

// Sigmas 1 and 0.5: one step is the base's, the other the variant's.
TEST_P(VariantOfASmallModel, SharesTheStepsWithItsBase) {
  const std::string sla = "sla:keep=0.5,block_q=64,block_k=64";
  const DeltaRule rule{.size = 0.2f, .projection = true};
  auto variant = [&](const std::string& name, const std::string& more) {
    write_variant(folder + "/" + name, kBase, config(), rule, more);
    return folder + "/" + name;
  };
  auto made = [&](const std::string& root, const std::string& attn) { return must(latents(root, attn, {1, 0.5})); };
  const std::string own = variant("own", ""), shared = variant("shared", R"(, "boundary_ratio": 0.75)"), all = variant("all", R"(, "boundary_ratio": 0.5)");
  EXPECT_EQ(made(all, sla), made(kBase, "dense"));  // a level at the boundary is the base's
  auto mixed = made(shared, sla);
  EXPECT_NE(mixed, made(kBase, "dense"));
  EXPECT_NE(mixed, made(own, sla));
  EXPECT_EQ(made(variant("above", R"(, "boundary_ratio": 1)"), "dense"), made(variant("first", R"(, "boundary_ratio": 0.6)"), "dense"));
  // By hand: the base's first step, then the variant's second from where that ended.
  auto m = make_machine();
  auto first = must(TextToVideo::open(kBase, GetParam())), second = must(TextToVideo::open(own, GetParam()));
  TokenIds ids = must(first->tokenize("a red ball"));
  Tensor embeds = must(first->embed(ids, m->ctx));
  DenoiseRequest r;
  r.embeds = embeds, r.steps = 2, r.sigmas = {1, 0.5}, r.guidance = 1, r.sampler = SamplerKind::euler, r.attention = must(make_policy("dense"));
  std::vector<float> halfway;
  DenoiseHooks hooks;
  hooks.on_step = [&](const StepInfo& s) {
    if (s.step == 1) halfway = to_floats(s.latent);
    return ok_status();
  };
  Tensor unused = must(first->denoise({32, 32, 5}, r, hooks, m->ctx));
  DenoiseState at;
  at.step = 1, at.steps = 2;
  Tensor x = must(m->arena.make(DType::f32, unused.shape()));
  std::memcpy(x.data(), halfway.data(), x.view().bytes());
  at.latents = x, at.noise = Noise(r.rng, r.seed).state(), at.policy = r.attention->save();
  r.resume = &at, r.attention = must(make_policy(sla));
  EXPECT_EQ(mixed, to_floats(must(second->denoise({32, 32, 5}, r, {}, m->ctx))));
}

TEST_P(VariantOfASmallModel, TheEstimateCountsBothTransformersThatShareTheSteps) {
  write_variant(folder + "/own", kBase, config(), {});
  write_variant(folder + "/shared", kBase, config(), {}, R"(, "boundary_ratio": 0.75)");
  auto m = make_machine();
  auto weights = [&](const std::string& root) { return must(must(TextToVideo::open(root, GetParam()))->estimate({32, 32, 5}, 8, false, m->ctx)).weights; };
  EXPECT_EQ(weights(folder + "/shared"), 2 * weights(folder + "/own"));
}

TEST_P(VariantOfASmallModel, TheEstimateCountsTheMerge) {
  write_variant(folder + "/v", kBase, config(), {.rank = 2000});
  auto m = make_machine();
  auto base = must(TextToVideo::open(kBase, GetParam())), variant = must(TextToVideo::open(folder + "/v", GetParam()));
  size_t without = must(base->estimate({16, 16, 1}, 8, false, m->ctx)).denoise;
  EXPECT_GE(must(variant->estimate({16, 16, 1}, 8, false, m->ctx)).denoise, std::max(without, LowRank::working_bytes(24, 32, 2000)));
}

TEST_P(VariantOfASmallModel, SigmasOfTheRequest) {
  auto m = make_machine();
  auto model = must(TextToVideo::open(kBase, GetParam()));
  DenoiseRequest r;
  r.sampler = SamplerKind::euler, r.steps = 2, r.sigmas = {1, 0.5};
  Schedule s = must(schedule_of(model->model(), r));
  EXPECT_EQ(s.sigmas, (std::vector<double>{1, 0.5, 0}));
  EXPECT_EQ(s.timesteps, (std::vector<double>{1000, 500}));
  r.steps = 3;
  EXPECT_EQ(schedule_of(model->model(), r).status().code(), Code::kInvalid);
  EXPECT_NE(must(latents(kBase, "dense", {1, 0.5})), must(latents(kBase)));
}

TEST_P(VariantOfASmallModel, ADeltaThatDoesNotFitEndsBeforeTheFirstStep) {
  TransformerConfig other = config();
  other.layers = 3;
  write_variant(folder + "/layers", kBase, other, {});
  expect_bad_model(latents(folder + "/layers").status(), {"delta.safetensors", "transformer.blocks.2.attn1.to_k.lora_A.weight", "10 of 30"});
  other = config(), other.ffn_dim = 40;
  write_variant(folder + "/ffn", kBase, other, {});
  expect_bad_model(must(TextToVideo::open(folder + "/ffn", GetParam()))->verify(0), {"ffn.net.0.proj.lora_A.weight", "[40, 24]", "[32, 24]"});
  other = config(), other.head_dim = 6, other.heads = 4;
  write_variant(folder + "/proj", kBase, other, {.projection = true});
  expect_bad_model(must(TextToVideo::open(folder + "/proj", GetParam()))->verify(0), {"delta.safetensors", "proj_l.weight is [6, 6]", "[12, 12]"});
  write_variant_json(folder + "/rank", kBase, 5);
  std::filesystem::copy(folder + "/layers/delta.safetensors", folder + "/rank/delta.safetensors");
  expect_bad_model(TextToVideo::open(folder + "/rank", GetParam()).status(), {"lora_A.weight", "rank 5"});
  write_file(folder + "/layers/delta.safetensors", "none");
  expect_bad_model(TextToVideo::open(folder + "/layers", GetParam()).status(), {"delta.safetensors", "too short"});
}

TEST_P(VariantOfASmallModel, ValuesThatAreNotFiniteAreFound) {
  Arena arena;
  write_variant_json(folder + "/v", kBase, 4);
  NamedTensors delta = make_delta(arena, config(), {.type = DType::f32});
  delta[3].second.as<float>()[0] = std::numeric_limits<float>::infinity();
  ZT_ASSERT_OK(write_named(folder + "/v/delta.safetensors", delta));
  expect_bad_model(must(TextToVideo::open(folder + "/v", GetParam()))->verify(), {"delta.safetensors", delta[3].first});
  delta[3].second.as<float>()[0] = 3e38f, delta[2].second.as<float>()[0] = 1e4f;
  ZT_ASSERT_OK(write_named(folder + "/v/delta.safetensors", delta));
  ZT_ASSERT_OK(must(TextToVideo::open(folder + "/v", GetParam()))->verify());
  expect_bad_model(latents(folder + "/v").status(), {"not finite with the delta", "blocks.0.attn1.to_k.weight"});
}

INSTANTIATE_TEST_SUITE_P(Compute, VariantOfASmallModel, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& p) { return std::string(dtype_name(p.param)); });

TEST(VariantFile, IsRead) {
  std::string folder = test_folder() + "/few";
  write_variant_json(folder, "../base", 8, R"(, "alpha": 4.5, "boundary_ratio": 0.86, "about": "four steps", "delta": "d.safetensors",
      "defaults": {"attn": "radial:decay=0.2,block=64", "guidance": 1, "sampler": "euler", "steps": 4, "sigmas": [1, 0.9, 0.75, 0.5]})");
  EXPECT_TRUE(is_variant(folder));
  Variant v = must(read_variant(folder));
  EXPECT_EQ(v.name, "few");
  EXPECT_EQ(v.about, "four steps");
  EXPECT_EQ(v.base, folder + "/../base");
  EXPECT_EQ(v.delta, folder + "/d.safetensors");
  EXPECT_EQ(v.rank, 8);
  EXPECT_EQ(v.alpha, 4.5);
  EXPECT_EQ(v.boundary_ratio, 0.86);
  EXPECT_EQ(v.attn, "radial:decay=0.2,block=64");
  EXPECT_EQ(v.guidance, 1);
  EXPECT_EQ(v.sampler, "euler");
  EXPECT_EQ(v.steps, 4);
  EXPECT_EQ(v.sigmas, (std::vector<double>{1, 0.9, 0.75, 0.5}));
  write_variant_json(folder, "/models/wan", 8);
  v = must(read_variant(folder));
  EXPECT_EQ(v.base, "/models/wan");
  EXPECT_EQ(v.delta, folder + "/delta.safetensors");
  EXPECT_EQ(v.alpha, 8);
  EXPECT_FALSE(v.boundary_ratio || v.attn || v.sampler || v.steps || v.guidance || !v.sigmas.empty() || !v.about.empty());
}

// One member of a good file replaced or added; a null removes it. The message must name the file and the field.
TEST(VariantFile, HostileOnesAreRefusedByField) {
  struct Case {
    const char *field, *text, *says;
  };
  const std::string long_text(5000, 'x');
  const std::string long_name = '"' + long_text + '"';
  const Case cases[] = {
      {"format", "", "missing"},
      {"format", R"("zoetrope variant 2")", "zoetrope variant 1"},
      {"format", "1", "not a string"},
      {"name", "", "missing"},
      {"name", R"("")", "empty"},
      {"name", R"("a\nb")", "control"},
      {"name", "[]", "not a string"},
      {"name", long_name.c_str(), "5000 bytes"},
      {"about", R"({"a": 1})", "not a string"},
      {"base", "", "missing"},
      {"base", R"("")", "empty"},
      {"base", R"(".")", "variant itself"},
      {"base", R"("../v")", "variant itself"},
      {"base", R"("../other")", "variant itself"},
      {"base", R"("../none")", "no such model folder"},
      {"base", R"("../empty")", "model_index.json"},
      {"base", R"("/dev/null")", "no such model folder"},
      {"base", R"("a\u0000b")", "control"},
      {"base", long_name.c_str(), "5000 bytes"},
      {"base", "7", "not a string"},
      {"delta", R"("../delta.safetensors")", "plain file name"},
      {"delta", R"("/etc/passwd")", "plain file name"},
      {"delta", R"("..")", "plain file name"},
      {"delta", R"("")", "plain file name"},
      {"delta", R"("none.safetensors")", "not there"},
      {"delta", R"("pipe")", "not there or not a regular file"},
      {"rank", "", "missing"},
      {"rank", "0", "allowed are 1"},
      {"rank", "-1", "allowed are 1"},
      {"rank", "1.5", "not an integer"},
      {"rank", R"("64")", "not an integer"},
      {"rank", "18446744073709551615", "allowed are 1"},
      {"rank", "1e300", "not an integer"},
      {"alpha", "0", "nothing"},
      {"alpha", "-3", "allowed are 0"},
      {"alpha", "1e300", "allowed are 0"},
      {"alpha", "NaN", "not a number"},
      {"alpha", "true", "not a number"},
      {"boundary_ratio", "0", "no step"},
      {"boundary_ratio", "-0.5", "allowed are 0"},
      {"boundary_ratio", "1.01", "allowed are 0"},
      {"boundary_ratio", R"("0.9")", "not a number"},
      {"defaults", "[]", "not an object"},
      {"defaults", "3", "not an object"},
      {"stepz", "3", "no key"},
      {"attn", R"({"attn": 3})", "not a string"},
      {"attn", R"({"attn": ""})", "empty"},
      {"attn", R"({"attn": "@/etc/passwd"})", "file"},
      {"steps", R"({"steps": 0})", "allowed are 1"},
      {"steps", R"({"steps": 1e9})", "not an integer"},
      {"steps", R"({"steps": 100000})", "allowed are 1"},
      {"steps", R"({"steps": 3, "sigmas": [1, 0.5]})", "2 entries"},
      {"guidance", R"({"guidance": "4"})", "not a number"},
      {"guidance", R"({"guidance": 1e99})", "allowed are 0"},
      {"sampler", R"({"sampler": "ddim"})", "no sampler"},
      {"sampler", R"({"sampler": ["euler"]})", "not a string"},
      {"sigmas", R"({"sigmas": 1})", "not a list"},
      {"sigmas", R"({"sigmas": [1, "0.5"]})", "not a finite number"},
      {"sigmas", R"({"sigmas": [1, 0.5, 0.5]})", "fall"},
      {"sigmas", R"({"sigmas": [0.5, 1]})", "fall"},
      {"sigmas", R"({"sigmas": [1.5]})", "at most at 1"},
      {"sigmas", R"({"sigmas": [1, 0]})", "above 0"},
      {"sigmas", R"({"sigmas": [1, -1]})", "above 0"},
      {"sigmas", R"({"sigmas": [null]})", "not a finite number"},
      {"sigmaz", R"({"sigmaz": [1]})", "no key"},
  };
  std::string folder = test_folder(), v = folder + "/v";
  write_variant_json(folder + "/other", kBase, 4);
  std::filesystem::create_directories(folder + "/empty");
  std::filesystem::create_directories(v + "/pipe");
  write_file(v + "/delta.safetensors", "x");
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.field) + " " + std::string(c.text).substr(0, 60));
    std::map<std::string, std::string> members = {
        {"format", R"("zoetrope variant 1")"}, {"name", R"("v")"}, {"base", '"' + kBase + '"'}, {"rank", "4"}};
    bool inside = std::string(c.text).starts_with("{\"") && std::string(c.field) != "about";
    members[inside ? "defaults" : c.field] = c.text;
    std::string text;
    for (const auto& [key, value] : members) {
      if (!value.empty()) text += (text.empty() ? "{\"" : ", \"") + key + "\": " + value;
    }
    write_file(v + "/variant.json", text + "}");
    auto m = open_model_folder(v);
    ASSERT_FALSE(m.ok());
    expect_bad_model(m.status(), {v + "/variant.json", c.field, c.says});
  }
  for (const char* text : {"", "[]", "{", "null", "{\"format\": \"zoetrope variant 1\", \"format\": 1}"}) {
    write_file(v + "/variant.json", text);
    expect_bad_model(open_model_folder(v).status(), {v + "/variant.json"});
  }
  std::filesystem::remove(v + "/variant.json");
  std::filesystem::create_directories(v + "/variant.json");
  expect_bad_model(open_model_folder(v).status(), {v + "/variant.json"});
}

}  // namespace
}  // namespace zt
