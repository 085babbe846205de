#include "model/io/weights.h"

#include <sys/stat.h>
#include <cmath>

#include "tests/model/io_support.h"
#include "tests/support/memory_limit.h"

namespace zt {
namespace {

using namespace zt::testing;

// One zero f32 tensor of shape [n] per name.
std::string file_of(const std::vector<std::string>& names, int n = 2) {
  std::string header = "{";
  for (size_t i = 0; i < names.size(); ++i) {
    header += fmt::format("{}\"{}\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", i ? "," : "", names[i], n,
                          i * size_t(n) * 4, (i + 1) * size_t(n) * 4);
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  return safetensors_bytes(header, names.size() * size_t(n) * 4);
}

WeightStore store_of(const std::vector<std::string>& names) {
  return must(WeightStore::open(write_file(test_folder() + "/w.safetensors", file_of(names))));
}

std::set<std::string> names_of(const WeightStore& w) {
  std::set<std::string> out;
  for (const auto& [name, view] : w.tensors()) out.insert(name);
  return out;
}

struct BadIndex {
  const char* name;
  std::string json;
  std::vector<const char*> words;
};
void PrintTo(const BadIndex& b, std::ostream* out) { *out << b.name; }

const std::vector<BadIndex> kBad = {
    {"empty_file", "", {"not valid JSON"}},
    {"not_json", "{\"weight_map\": {", {"not valid JSON"}},
    {"not_an_object", "[]", {"not a JSON object"}},
    {"no_map", "{\"metadata\":{}}", {"weight_map", "missing"}},
    {"map_is_list", "{\"weight_map\":[]}", {"weight_map"}},
    {"map_is_empty", "{\"weight_map\":{}}", {"empty"}},
    {"metadata_is_text", "{\"metadata\":\"x\",\"weight_map\":{\"a\":\"s1.safetensors\"}}", {"metadata"}},
    {"shard_is_number", "{\"weight_map\":{\"a\":1}}", {"'a'", "not a string"}},
    {"parent_folder", "{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", {"'a'", "plain file name"}},
    {"absolute", "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", {"'a'", "/etc/passwd", "plain file name"}},
    {"backslash", "{\"weight_map\":{\"a\":\"..\\\\s1\"}}", {"'a'", "plain file name"}},
    {"dot", "{\"weight_map\":{\"a\":\".\"}}", {"'a'", "plain file name"}},
    {"dots", "{\"weight_map\":{\"a\":\"..\"}}", {"'a'", "plain file name"}},
    {"no_name", "{\"weight_map\":{\"a\":\"\"}}", {"'a'", "plain file name"}},
    {"nul", "{\"weight_map\":{\"a\":\"s1.safetensors\\u0000x\"}}", {"'a'", "plain file name"}},
    {"long_name", "{\"weight_map\":{\"a\":\"" + std::string(300, 's') + "\"}}", {"'a'", "plain file name"}},
    {"missing_shard", "{\"weight_map\":{\"a\":\"s9.safetensors\"}}", {"s9.safetensors", "No such file"}},
    {"shard_is_folder", "{\"weight_map\":{\"a\":\"folder\"}}", {"folder", "not a regular file"}},
    {"shard_is_fifo", "{\"weight_map\":{\"a\":\"fifo\"}}", {"fifo", "not a regular file"}},
    {"duplicate_key", "{\"weight_map\":{\"a\":\"s1.safetensors\",\"a\":\"s2.safetensors\"}}", {"duplicate key 'a'"}},
    {"tensor_not_in_shard",
     "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\",\"x\":\"s1.safetensors\"}}",
     {"'x'", "s1.safetensors"}},
    {"tensor_not_in_map", "{\"weight_map\":{\"a\":\"s1.safetensors\"}}", {"'b'", "not in weight_map"}},
    {"wrong_shard",
     "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"s2.safetensors\"}}",
     {"'b'", "weight_map says"}},
    {"damaged_shard", "{\"weight_map\":{\"d\":\"bad.safetensors\"}}", {"bad.safetensors", "truncated"}},
    {"bad_utf8", "{\"weight_map\":{\"\xff\":\"s1.safetensors\"}}", {"not valid UTF-8"}},
    {"deep", std::string(100, '['), {"nested deeper than 64"}},
    {"trailing", "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}} x", {"not valid JSON"}},
};

class BadIndexFile : public ::testing::TestWithParam<BadIndex> {};

TEST_P(BadIndexFile, IsRefusedByName) {
  std::string folder = test_folder();
  write_file(folder + "/s1.safetensors", file_of({"a", "b"}));
  write_file(folder + "/s2.safetensors", file_of({"c"}));
  write_file(folder + "/bad.safetensors", file_of({"d"}).substr(0, 20));
  std::filesystem::create_directory(folder + "/folder");
  ASSERT_EQ(mkfifo((folder + "/fifo").c_str(), 0600), 0);
  write_file(folder + "/model.safetensors.index.json", GetParam().json);
  MemoryLimit limit;
  auto w = WeightStore::open(folder);
  ASSERT_FALSE(w.ok());
  expect_bad_model(w.status(), {folder});
  for (const char* word : GetParam().words) EXPECT_THAT(w.status().message(), ::testing::HasSubstr(word));
}

INSTANTIATE_TEST_SUITE_P(Index, BadIndexFile, ::testing::ValuesIn(kBad), [](const auto& p) { return std::string(p.param.name); });

TEST(Weights, ShardsSingleFilesAndNothing) {
  std::string folder = test_folder();
  expect_bad_model(WeightStore::open(folder).status(), {folder, "no weights"});
  expect_bad_model(WeightStore::open(folder + "/none").status(), {"none", "no such file"});
  write_file(folder + "/diffusion_pytorch_model.safetensors", file_of({"single"}));
  EXPECT_EQ(names_of(must(WeightStore::open(folder))), (std::set<std::string>{"single"}));
  write_file(folder + "/s1.safetensors", file_of({"a", "b"}));
  write_file(folder + "/s2.safetensors", file_of({"c"}));
  write_file(folder + "/diffusion_pytorch_model.safetensors.index.json",
             "{\"metadata\":{\"total_size\":24},\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\",\"c\":\"s2."
             "safetensors\"}}");
  WeightStore w = must(WeightStore::open(folder));
  EXPECT_EQ(names_of(w), (std::set<std::string>{"a", "b", "c"}));
  EXPECT_EQ(w.bytes(), 24u);
}

TEST(Weights, FinishListsEverythingAtOnce) {
  WeightStore w = store_of({"good", "wide", "extra1", "extra2", "tied"});
  EXPECT_TRUE(w.get("good", {2}));
  EXPECT_FALSE(w.get("wide", {2, 2}));
  EXPECT_FALSE(w.get("absent", {2}));
  w.ignore("tied");
  expect_bad_model(w.finish(), {"w.safetensors", "1 missing: absent", "2 extra: extra1, extra2", "wide is [2], expected [2, 2]"});
}

TEST(Weights, IntegersAreNotWeights) {
  std::string header = "{\"t\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
  header.append((8 - header.size() % 8) % 8, ' ');
  WeightStore w = must(WeightStore::open(write_file(test_folder() + "/w.safetensors", safetensors_bytes(header, 4))));
  EXPECT_FALSE(w.get("t", {1}));
  expect_bad_model(w.finish(), {"t is of type i32"});
}

TEST(Weights, NanAndInfinityAreFoundInEveryType) {
  Arena arena;
  std::string folder = test_folder();
  for (DType t : {DType::f32, DType::bf16, DType::f16}) {
    Tensor good = random_tensor(arena, t, {100}, 1), bad = random_tensor(arena, t, {100}, 2);
    store_float(good.data(), t, 5, 0.f);
    store_float(bad.data(), t, 7, NAN);
    store_float(bad.data(), t, 99, -INFINITY);
    ZT_ASSERT_OK(write_safetensors(folder + "/w.safetensors", {{"good", good}}));
    ZT_ASSERT_OK(must(WeightStore::open(folder + "/w.safetensors")).check_finite());
    ZT_ASSERT_OK(write_safetensors(folder + "/w.safetensors", {{"good", good}, {"bad", bad}}));
    Status s = must(WeightStore::open(folder + "/w.safetensors")).check_finite();
    expect_bad_model(s, {"w.safetensors", "bad (2 of 100 values)", "NaN"});
    EXPECT_EQ(s.message().find("good"), std::string::npos);
  }
  for (auto [t, nan] : {std::pair{DType::f8_e4m3, 0x7f}, std::pair{DType::f8_e5m2, 0x7c}, std::pair{DType::f8_e4m3, 0xff}}) {
    Tensor v = must(arena.zeros(t, {9}));
    static_cast<uint8_t*>(v.data())[8] = uint8_t(nan);
    ZT_ASSERT_OK(write_safetensors(folder + "/w.safetensors", {{"v", v}}));
    expect_bad_model(must(WeightStore::open(folder + "/w.safetensors")).check_finite(), {"v (1 of 9 values)"});
  }
}

TEST(Weights, DroppedPagesCanBeReadAgain) {
  Arena arena;
  std::string path = test_folder() + "/w.safetensors";
  Tensor t = random_tensor(arena, DType::f32, {5000}, 1);
  ZT_ASSERT_OK(write_safetensors(path, {{"t", t}}));
  WeightStore w = must(WeightStore::open(path));
  TensorView v = w.get("t", {5000});
  EXPECT_EQ(to_floats(v), to_floats(t));
  w.drop(v);
  EXPECT_EQ(to_floats(v), to_floats(t));
}

TEST(Weights, OriginalTransformerNames) {
  for (std::string prefix : {"", "model.diffusion_model."}) {
    std::vector<std::string> names = {"patch_embedding.weight",
                                      "text_embedding.0.weight",
                                      "text_embedding.2.bias",
                                      "time_embedding.0.weight",
                                      "time_embedding.2.weight",
                                      "time_projection.1.bias",
                                      "head.modulation",
                                      "head.head.weight",
                                      "blocks.11.modulation",
                                      "blocks.11.self_attn.q.weight",
                                      "blocks.11.self_attn.o.bias",
                                      "blocks.11.self_attn.norm_k.weight",
                                      "blocks.11.cross_attn.v.weight",
                                      "blocks.11.cross_attn.norm_q.weight",
                                      "blocks.11.norm3.weight",
                                      "blocks.11.ffn.0.bias",
                                      "blocks.11.ffn.2.weight"};
    for (std::string& n : names) n = prefix + n;
    WeightStore w = store_of(names);
    w.rename_original_transformer();
    std::set<std::string> expected = {"patch_embedding.weight",
                                      "condition_embedder.text_embedder.linear_1.weight",
                                      "condition_embedder.text_embedder.linear_2.bias",
                                      "condition_embedder.time_embedder.linear_1.weight",
                                      "condition_embedder.time_embedder.linear_2.weight",
                                      "condition_embedder.time_proj.bias",
                                      "scale_shift_table",
                                      "proj_out.weight",
                                      "blocks.11.scale_shift_table",
                                      "blocks.11.attn1.to_q.weight",
                                      "blocks.11.attn1.to_out.0.bias",
                                      "blocks.11.attn1.norm_k.weight",
                                      "blocks.11.attn2.to_v.weight",
                                      "blocks.11.attn2.norm_q.weight",
                                      "blocks.11.norm2.weight",
                                      "blocks.11.ffn.net.0.proj.bias",
                                      "blocks.11.ffn.net.2.weight"};
    EXPECT_EQ(names_of(w), expected);
    w.rename_original_transformer();
    EXPECT_EQ(names_of(w), expected) << "renaming twice changed names";
  }
}

TEST(Weights, DiffusersTransformerNamesStay) {
  std::vector<std::string> names = {"blocks.0.norm2.weight", "blocks.0.attn1.to_q.weight", "blocks.0.attn2.norm_added_q.weight"};
  WeightStore w = store_of(names);
  w.rename_original_transformer();
  EXPECT_EQ(names_of(w), std::set<std::string>(names.begin(), names.end()));
  w.get("blocks.0.norm2.weight", {2});
  w.get("blocks.0.attn1.to_q.weight", {2});
  ZT_ASSERT_OK(w.finish());
}

TEST(Weights, OriginalVaeNames) {
  WeightStore w = store_of(
      {"conv1.weight", "conv2.bias", "encoder.conv1.weight", "encoder.downsamples.0.residual.0.gamma",
       "encoder.downsamples.0.residual.2.weight", "encoder.downsamples.2.resample.1.weight",
       "encoder.downsamples.3.shortcut.weight", "encoder.downsamples.5.time_conv.bias", "encoder.middle.0.residual.6.weight",
       "encoder.middle.1.to_qkv.weight", "encoder.head.0.gamma", "encoder.head.2.weight", "decoder.conv1.bias",
       "decoder.middle.1.norm.gamma", "decoder.middle.2.residual.3.gamma",
       // Two res blocks each: 0 1 | 2 resample | 3 4 | 5 resample | 6 7.
       "decoder.upsamples.0.residual.2.weight", "decoder.upsamples.1.residual.2.weight", "decoder.upsamples.2.resample.1.weight",
       "decoder.upsamples.2.time_conv.weight", "decoder.upsamples.3.shortcut.weight", "decoder.upsamples.3.residual.2.weight",
       "decoder.upsamples.4.residual.6.bias", "decoder.upsamples.5.resample.1.bias", "decoder.upsamples.6.residual.0.gamma",
       "decoder.upsamples.7.residual.0.gamma", "decoder.head.2.bias"});
  w.rename_original_vae();
  EXPECT_EQ(names_of(w), (std::set<std::string>{"quant_conv.weight",
                                                "post_quant_conv.bias",
                                                "encoder.conv_in.weight",
                                                "encoder.down_blocks.0.norm1.gamma",
                                                "encoder.down_blocks.0.conv1.weight",
                                                "encoder.down_blocks.2.resample.1.weight",
                                                "encoder.down_blocks.3.conv_shortcut.weight",
                                                "encoder.down_blocks.5.time_conv.bias",
                                                "encoder.mid_block.resnets.0.conv2.weight",
                                                "encoder.mid_block.attentions.0.to_qkv.weight",
                                                "encoder.norm_out.gamma",
                                                "encoder.conv_out.weight",
                                                "decoder.conv_in.bias",
                                                "decoder.mid_block.attentions.0.norm.gamma",
                                                "decoder.mid_block.resnets.1.norm2.gamma",
                                                "decoder.up_blocks.0.resnets.0.conv1.weight",
                                                "decoder.up_blocks.0.resnets.1.conv1.weight",
                                                "decoder.up_blocks.0.upsamplers.0.resample.1.weight",
                                                "decoder.up_blocks.0.upsamplers.0.time_conv.weight",
                                                "decoder.up_blocks.1.resnets.0.conv_shortcut.weight",
                                                "decoder.up_blocks.1.resnets.0.conv1.weight",
                                                "decoder.up_blocks.1.resnets.1.conv2.bias",
                                                "decoder.up_blocks.1.upsamplers.0.resample.1.bias",
                                                "decoder.up_blocks.2.resnets.0.norm1.gamma",
                                                "decoder.up_blocks.2.resnets.1.norm1.gamma",
                                                "decoder.conv_out.bias"}));
}

TEST(Weights, OriginalTextNames) {
  WeightStore w = store_of({"token_embedding.weight", "norm.weight", "blocks.3.norm1.weight", "blocks.3.attn.q.weight",
                            "blocks.3.pos_embedding.embedding.weight", "blocks.3.norm2.weight", "blocks.3.ffn.gate.0.weight",
                            "blocks.3.ffn.fc1.weight", "blocks.3.ffn.fc2.weight"});
  w.rename_original_text();
  std::string at = "encoder.block.3.layer.";
  EXPECT_EQ(names_of(w),
            (std::set<std::string>{"shared.weight", "encoder.final_layer_norm.weight", at + "0.layer_norm.weight",
                                   at + "0.SelfAttention.q.weight", at + "0.SelfAttention.relative_attention_bias.weight",
                                   at + "1.layer_norm.weight", at + "1.DenseReluDense.wi_0.weight",
                                   at + "1.DenseReluDense.wi_1.weight", at + "1.DenseReluDense.wo.weight"}));
  WeightStore tied = store_of({"shared.weight", "encoder.embed_tokens.weight", "spiece_model"});
  tied.rename_original_text();
  tied.get("shared.weight", {2});
  ZT_ASSERT_OK(tied.finish());
  WeightStore only = store_of({"text_encoders.umt5xxl.transformer.encoder.embed_tokens.weight"});
  only.rename_original_text();
  EXPECT_EQ(names_of(only), (std::set<std::string>{"shared.weight"}));
}

}  // namespace
}  // namespace zt
