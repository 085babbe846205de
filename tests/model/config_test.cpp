#include "model/config/config.h"

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/model/io_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using Json = nlohmann::json;

std::string config_file(const std::string& text) { return write_file(test_folder() + "/config.json", text); }

TEST(TransformerConfig, DefaultsAreThoseOfDiffusers) {
  TransformerConfig c = must(read_transformer_config(config_file("{}")));
  EXPECT_EQ(c.heads, 40);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.layers, 40);
  EXPECT_EQ(c.ffn_dim, 13824);
  EXPECT_EQ(c.parameters(), 14288491584);
}

TEST(TransformerConfig, BothSpellingsOfThe1Point3B) {
  TransformerConfig a = must(read_transformer_config(config_file(
      R"({"_class_name":"WanTransformer3DModel","num_attention_heads":12,"num_layers":30,"ffn_dim":8960,"image_dim":null})")));
  TransformerConfig b = must(read_transformer_config(config_file(
      R"({"_class_name":"WanModel","dim":1536,"eps":1e-06,"ffn_dim":8960,"freq_dim":256,"in_dim":16,"model_type":"t2v","num_heads":12,"num_layers":30,"out_dim":16,"text_len":512})")));
  for (const TransformerConfig& c : {a, b}) {
    EXPECT_EQ(c.dim(), 1536);
    EXPECT_EQ(c.head_dim, 128);
    EXPECT_EQ(c.parameters(), 1418996800);
  }
}

struct Bad {
  const char* name;
  const char* json;
  std::vector<const char*> words;
};
void PrintTo(const Bad& b, std::ostream* out) { *out << b.name; }
std::string bad_name(const ::testing::TestParamInfo<Bad>& p) { return p.param.name; }

template <class F>
void expect_refused(F&& read, const Bad& b) {
  std::string file = config_file(b.json);
  auto r = read(file);
  ASSERT_FALSE(r.ok());
  expect_bad_model(r.status(), {file});
  for (const char* w : b.words) EXPECT_THAT(r.status().message(), ::testing::HasSubstr(w));
}

class BadTransformer : public ::testing::TestWithParam<Bad> {};
TEST_P(BadTransformer, IsRefusedByName) { expect_refused(read_transformer_config, GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    Config, BadTransformer,
    ::testing::Values(
        Bad{"not_json", "{", {"not valid JSON"}}, Bad{"list", "[1]", {"not a JSON object"}}, Bad{"empty", "", {"not valid JSON"}},
        Bad{"other_class", R"({"_class_name":"FluxTransformer2DModel"})", {"_class_name", "FluxTransformer2DModel"}},
        Bad{"negative_heads", R"({"num_attention_heads":-1})", {"num_attention_heads", "-1"}},
        Bad{"zero_layers", R"({"num_layers":0})", {"num_layers"}},
        Bad{"huge_layers", R"({"num_layers":1000000000})", {"num_layers"}},
        Bad{"beyond_int64", R"({"num_layers":18446744073709551615})", {"num_layers"}},
        Bad{"beyond_double", R"({"num_layers":1e999})", {"out of range"}},
        Bad{"fraction", R"({"num_layers":2.5})", {"num_layers", "not an integer"}},
        Bad{"text_number", R"({"num_layers":"2"})", {"num_layers", "not an integer"}},
        Bad{"null_number", R"({"num_layers":null})", {"num_layers"}},
        Bad{"odd_head", R"({"attention_head_dim":13})", {"attention_head_dim", "even"}},
        Bad{"small_head", R"({"attention_head_dim":4})", {"attention_head_dim"}},
        Bad{"too_wide", R"({"num_attention_heads":1000,"attention_head_dim":1000})", {"width"}},
        Bad{"patch", R"({"patch_size":[1,4,4]})", {"patch_size", "[1, 4, 4]"}},
        Bad{"short_patch", R"({"patch_size":[2,2]})", {"patch_size"}},
        Bad{"patch_number", R"({"patch_size":2})", {"patch_size", "not a list"}},
        Bad{"patch_text", R"({"patch_size":["1",2,2]})", {"patch_size"}},
        Bad{"qk_norm", R"({"qk_norm":"rms_norm"})", {"qk_norm", "rms_norm_across_heads"}},
        Bad{"no_qk_norm", R"({"qk_norm":null})", {"qk_norm"}},
        Bad{"image", R"({"image_dim":1280})", {"image_dim", "image-to-video"}},
        Bad{"added_kv", R"({"added_kv_proj_dim":5120})", {"added_kv_proj_dim"}},
        Bad{"flf", R"({"pos_embed_seq_len":514})", {"pos_embed_seq_len"}}, Bad{"eps_zero", R"({"eps":0})", {"eps"}},
        Bad{"eps_text", R"({"eps":"x"})", {"eps"}}, Bad{"odd_freq", R"({"freq_dim":255})", {"freq_dim"}},
        Bad{"cross_norm", R"({"cross_attn_norm":1})", {"cross_attn_norm"}},
        Bad{"original_i2v", R"({"_class_name":"WanModel","dim":1536,"model_type":"i2v"})", {"model_type", "i2v"}},
        Bad{"original_heads", R"({"_class_name":"WanModel","dim":100,"num_heads":3})", {"num_heads"}},
        Bad{"original_window", R"({"_class_name":"WanModel","dim":96,"num_heads":4,"window_size":[4,4]})", {"window_size"}},
        Bad{"duplicate", R"({"num_layers":1,"num_layers":2})", {"duplicate key 'num_layers'"}}),
    bad_name);

class BadVae : public ::testing::TestWithParam<Bad> {};
TEST_P(BadVae, IsRefusedByName) { expect_refused(read_vae_config, GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    Config, BadVae,
    ::testing::Values(Bad{"other_class", R"({"_class_name":"AutoencoderKL"})", {"AutoencoderKL"}},
                      Bad{"residual", R"({"is_residual":true})", {"is_residual"}},
                      Bad{"attention", R"({"attn_scales":[0.5]})", {"attn_scales"}},
                      Bad{"patched", R"({"patch_size":2})", {"patch_size"}},
                      Bad{"channels", R"({"in_channels":12})", {"in_channels"}}, Bad{"z", R"({"z_dim":0})", {"z_dim"}},
                      Bad{"mean_count", R"({"z_dim":4})", {"latents_mean", "16 entries"}},
                      Bad{"std_zero", R"({"z_dim":1,"latents_mean":[0],"latents_std":[0]})", {"latents_std"}},
                      Bad{"std_text", R"({"z_dim":1,"latents_mean":[0],"latents_std":["1"]})", {"latents_std"}},
                      Bad{"std_huge", R"({"z_dim":1,"latents_mean":[0],"latents_std":[1e300]})", {"latents_std"}},
                      Bad{"no_mult", R"({"dim_mult":[]})", {"dim_mult"}},
                      Bad{"many_mult", R"({"dim_mult":[1,1,1,1,1,1,1]})", {"dim_mult"}},
                      Bad{"huge_mult", R"({"dim_mult":[1,2,4,99999999999]})", {"dim_mult"}},
                      Bad{"temporal", R"({"temperal_downsample":[true]})", {"temperal_downsample"}},
                      Bad{"temporal_numbers", R"({"temperal_downsample":[0,1,1]})", {"temperal_downsample"}},
                      Bad{"blocks", R"({"num_res_blocks":-3})", {"num_res_blocks"}}),
    bad_name);

TEST(VaeConfig, DefaultsAndTinyModels) {
  VaeConfig c = must(read_vae_config(config_file("{}")));
  EXPECT_EQ(c.base_dim, 96);
  EXPECT_EQ(c.spatial_factor(), 8);
  EXPECT_EQ(c.temporal_factor(), 4);
  EXPECT_FLOAT_EQ(c.latents_std[7], 2.0743f);
  VaeConfig tiny = must(read_vae_config(config_file(
      R"({"base_dim":3,"z_dim":2,"dim_mult":[1,1],"num_res_blocks":1,"temperal_downsample":[true],"latents_mean":[0,1],"latents_std":[1,2],"decoder_base_dim":null})")));
  EXPECT_EQ(tiny.spatial_factor(), 2);
  EXPECT_EQ(tiny.temporal_factor(), 2);
  EXPECT_EQ(tiny.decoder_base_dim, 0);
}

class BadText : public ::testing::TestWithParam<Bad> {};
TEST_P(BadText, IsRefusedByName) { expect_refused(read_text_config, GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    Config, BadText,
    ::testing::Values(Bad{"clip", R"({"model_type":"clip_text_model"})", {"model_type", "clip_text_model"}},
                      Bad{"vocab", R"({"vocab_size":0})", {"vocab_size"}},
                      Bad{"huge_vocab", R"({"vocab_size":9999999999})", {"vocab_size"}},
                      Bad{"width", R"({"num_heads":1024,"d_kv":1024})", {"num_heads", "d_kv"}},
                      Bad{"silu", R"({"feed_forward_proj":"gated-silu"})", {"feed_forward_proj", "gated-silu"}},
                      Bad{"gelu", R"({"feed_forward_proj":"gelu"})", {"feed_forward_proj"}},
                      Bad{"buckets", R"({"relative_attention_num_buckets":2})", {"relative_attention_num_buckets"}},
                      Bad{"distance", R"({"relative_attention_max_distance":8})", {"relative_attention_max_distance"}},
                      Bad{"eps", R"({"layer_norm_epsilon":-1})", {"layer_norm_epsilon"}}),
    bad_name);

TEST(TextConfig, KindsAndDefaults) {
  TextConfig u = must(read_text_config(config_file("{}"))), t = must(read_text_config(config_file(R"({"model_type":"t5"})")));
  EXPECT_TRUE(u.bias_per_layer && u.gated_gelu);
  EXPECT_EQ(u.vocab, 250112);
  EXPECT_FALSE(t.bias_per_layer || t.gated_gelu);
  EXPECT_EQ(t.vocab, 32128);
}

class BadScheduler : public ::testing::TestWithParam<Bad> {};
TEST_P(BadScheduler, IsRefusedByName) { expect_refused(read_scheduler_config, GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    Config, BadScheduler,
    ::testing::Values(
        Bad{"ddim", R"({"_class_name":"DDIMScheduler"})", {"DDIMScheduler"}},
        Bad{"epsilon", R"({"_class_name":"UniPCMultistepScheduler"})", {"prediction_type"}},
        Bad{"no_flow", R"({"_class_name":"UniPCMultistepScheduler","prediction_type":"flow_prediction"})", {"use_flow_sigmas"}},
        Bad{"order", R"({"prediction_type":"flow_prediction","use_flow_sigmas":true,"solver_order":3})", {"solver_order"}},
        Bad{"bh1", R"({"prediction_type":"flow_prediction","use_flow_sigmas":true,"solver_type":"bh1"})", {"solver_type", "bh1"}},
        Bad{"corrector",
            R"({"prediction_type":"flow_prediction","use_flow_sigmas":true,"disable_corrector":[0]})",
            {"disable_corrector"}},
        Bad{"sde",
            R"({"_class_name":"DPMSolverMultistepScheduler","prediction_type":"flow_prediction","use_flow_sigmas":true,"algorithm_type":"sde-dpmsolver++"})",
            {"algorithm_type"}},
        Bad{"shift_zero", R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":0})", {"shift"}},
        Bad{"karras", R"({"_class_name":"FlowMatchEulerDiscreteScheduler","use_karras_sigmas":true})", {"use_karras_sigmas"}},
        Bad{"dynamic",
            R"({"_class_name":"FlowMatchEulerDiscreteScheduler","use_dynamic_shifting":true})",
            {"use_dynamic_shifting"}},
        Bad{"steps", R"({"_class_name":"FlowMatchEulerDiscreteScheduler","num_train_timesteps":0})", {"num_train_timesteps"}}),
    bad_name);

TEST(SchedulerConfig, ShiftByEitherName) {
  EXPECT_EQ(
      must(read_scheduler_config(config_file(R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":7.0})"))).flow_shift, 7);
  EXPECT_EQ(must(read_scheduler_config(config_file(R"({"_class_name":"FlowMatchEulerDiscreteScheduler"})"))).flow_shift, 1);
  EXPECT_EQ(
      must(read_scheduler_config(config_file(R"({"prediction_type":"flow_prediction","use_flow_sigmas":true,"flow_shift":5})")))
          .flow_shift,
      5);
  EXPECT_EQ(must(read_scheduler_config(config_file(R"({"_class_name":"FlowMatchLCMScheduler","shift":3,"scale_factors":null})")))
                .flow_shift,
            3);
}

// A copy of the embedded model's configs; `change` may spoil one of them.
std::string model_copy(const std::string& file = {}, std::function<void(Json&)> change = {}) {
  std::string folder = test_folder(), mini = source_file("assets/mini");
  for (std::string f : {"model_index.json", "transformer/config.json", "vae/config.json", "text_encoder/config.json",
                        "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"}) {
    Json j = Json::parse(read_file(mini + "/" + f));
    if (f == file) change(j);
    write_file(folder + "/" + f, j.dump());
  }
  write_file(folder + "/tokenizer/spiece.model", "x");
  return folder;
}

TEST(ModelFolder, EmbeddedModel) {
  ModelFolder m = must(open_model_folder(source_file("assets/mini")));
  EXPECT_EQ(m.transformer_config.text_dim, m.text_config.d_model);
  EXPECT_EQ(m.max_text_tokens, 512);
  EXPECT_TRUE(open_model_folder(model_copy()).ok());
}

TEST(ModelFolder, MissingPartsAreNamed) {
  expect_bad_model(open_model_folder("/no/such/model").status(), {"/no/such/model"});
  for (std::string gone :
       {"model_index.json", "transformer", "vae", "text_encoder", "tokenizer", "scheduler", "transformer/config.json",
        "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json", "tokenizer/spiece.model"}) {
    std::string folder = model_copy();
    std::filesystem::remove_all(folder + "/" + gone);
    std::string word = gone == "tokenizer/spiece.model" ? "spiece.model" : gone;
    expect_bad_model(open_model_folder(folder).status(), {folder, word});
  }
}

TEST(ModelFolder, OtherPipelinesAreRefusedByName) {
  struct Change {
    const char* file;
    std::function<void(Json&)> change;
    std::vector<std::string> words;
  };
  for (const Change& c : std::vector<Change>{
           {"model_index.json", [](Json& j) { j["_class_name"] = "WanImageToVideoPipeline"; }, {"WanImageToVideoPipeline"}},
           {"model_index.json", [](Json& j) { j.erase("_class_name"); }, {"_class_name"}},
           {"model_index.json",
            [](Json& j) {
              j["transformer_2"] = {"diffusers", "WanTransformer3DModel"};
            },
            {"transformer_2", "two experts"}},
           {"model_index.json", [](Json& j) { j["boundary_ratio"] = 0.875; }, {"boundary_ratio"}},
           {"model_index.json", [](Json& j) { j["expand_timesteps"] = true; }, {"expand_timesteps"}},
           {"model_index.json",
            [](Json& j) {
              j["image_encoder"] = {"transformers", "CLIPVisionModel"};
            },
            {"image_encoder"}},
           {"model_index.json",
            [](Json& j) {
              j["vae"] = {"diffusers", "AutoencoderKL"};
            },
            {"'vae'", "AutoencoderKL"}},
           {"model_index.json", [](Json& j) { j["transformer"] = nullptr; }, {"'transformer'", "missing"}},
           {"model_index.json", [](Json& j) { j["text_encoder"] = "UMT5EncoderModel"; }, {"'text_encoder'", "pair"}},
           {"transformer/config.json", [](Json& j) { j["text_dim"] = 256; }, {"text_dim is 256", "d_model is 192"}},
           {"transformer/config.json", [](Json& j) { j["in_channels"] = 36; }, {"36", "z_dim is 16"}},
           {"vae/config.json", [](Json& j) { j["is_residual"] = true; }, {"vae/config.json", "is_residual"}}}) {
    auto m = open_model_folder(model_copy(c.file, c.change));
    ASSERT_FALSE(m.ok());
    expect_bad_model(m.status(), {});
    for (const std::string& w : c.words) EXPECT_THAT(m.status().message(), ::testing::HasSubstr(w));
  }
}

}  // namespace
}  // namespace zt
