#include "model/text/tokenizer.h"

#include <bit>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "model/text/tokenizer_files.h"
#include "tests/model/io_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using Json = nlohmann::json;

const std::string kMini = source_file("assets/mini/tokenizer");

Json golden() { return Json::parse(read_file(source_file("tests/golden/tokenizer_golden.json"))); }

std::string fnv(const std::string& bytes) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (char c : bytes) h = (h ^ uint8_t(c)) * 0x100000001b3ull;
  return fmt::format("{:016x}", h);
}

void expect_cases(const Tokenizer& t, const Json& cases, int64_t max_tokens) {
  for (const auto& c : cases) {
    EXPECT_EQ(t.encode(c[0].get<std::string>(), max_tokens).ids, c[1].get<std::vector<int32_t>>()) << c[0];
  }
}

std::string varint(uint64_t v) {
  std::string out;
  for (; v >= 128; v >>= 7) out += char(v | 128);
  return out + char(v);
}
std::string bytes_field(int number, const std::string& s) { return varint(uint64_t(number) << 3 | 2) + varint(s.size()) + s; }
std::string number_field(int number, uint64_t v) { return varint(uint64_t(number) << 3) + varint(v); }
std::string float_field(int number, float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  return varint(uint64_t(number) << 3 | 5) + std::string(reinterpret_cast<const char*>(&u), 4);
}

// A ModelProto from the vocabulary of a tokenizer.json.
std::string spiece_of(const Json& tokenizer, const std::string& charsmap = {}) {
  std::string out;
  int64_t unk = tokenizer["model"]["unk_id"], i = 0;
  for (const auto& p : tokenizer["model"]["vocab"]) {
    std::string piece = bytes_field(1, p[0]) + float_field(2, p[1].get<float>());
    if (i++ == unk) piece += number_field(3, 2);
    out += bytes_field(1, piece);
  }
  out += bytes_field(2, number_field(3, 1));
  return out + bytes_field(3, bytes_field(2, charsmap));
}

// A folder with the given files; an empty text means no such file.
std::string folder_with(const std::string& json, const std::string& spiece, const std::string& config) {
  std::string folder = test_folder();
  if (!json.empty()) write_file(folder + "/tokenizer.json", json);
  if (!spiece.empty()) write_file(folder + "/spiece.model", spiece);
  if (!config.empty()) write_file(folder + "/tokenizer_config.json", config);
  return folder;
}

TEST(Tokenizer, MiniAgreesWithTransformersFromEitherFile) {
  Json g = golden()["mini"];
  ASSERT_EQ(fnv(read_file(kMini + "/tokenizer.json")), g["hash"])
      << "the tokenizer changed: run tests/golden/tokenizer_golden.py";
  std::string config = read_file(kMini + "/tokenizer_config.json");
  for (std::string folder : {kMini, folder_with(read_file(kMini + "/tokenizer.json"), "", config)}) {
    auto t = must(Tokenizer::open(folder));
    expect_cases(*t, g["cases"], 512);
    expect_cases(*t, g["cut"], 8);
    EXPECT_EQ(t->vocab_size(), 236);
  }
  auto t = must(Tokenizer::open(folder_with("", read_file(kMini + "/spiece.model"), config)));
  expect_cases(*t, g["cases"], 512);
  expect_cases(*t, g["cut"], 8);
}

TEST(Tokenizer, FolderWithOneFileAndNoConfig) {
  for (bool json : {true, false}) {
    auto t = must(Tokenizer::open(
        folder_with(json ? read_file(kMini + "/tokenizer.json") : "", json ? "" : read_file(kMini + "/spiece.model"), "")));
    EXPECT_EQ(t->vocab_size(), 236) << "sentinels that no file names must not count";
    EXPECT_EQ(t->encode("a red ball", 512).ids, must(Tokenizer::open(kMini))->encode("a red ball", 512).ids);
  }
}

TEST(Tokenizer, TiesSentinelsAndAddedTokens) {
  Json g = golden()["ties"];
  auto t = must(Tokenizer::open(folder_with(g["tokenizer"].dump(), "", g["config"].dump())));
  expect_cases(*t, g["cases"], 512);
  EXPECT_EQ(t->vocab_size(), 19);
}

TEST(Tokenizer, ConfiguredSentinelsExtendASpieceModel) {
  Json g = golden()["ties"];
  auto t = must(Tokenizer::open(folder_with("", spiece_of(g["tokenizer"]), "{\"extra_ids\":4}")));
  // <extra_id_1> and <extra_id_0> are pieces 16 and 17; 3 and 2 follow.
  EXPECT_EQ(t->encode("<extra_id_0><extra_id_1><extra_id_2><extra_id_3>", 9).ids, (std::vector<int32_t>{17, 16, 19, 18, 1}));
  EXPECT_EQ(t->vocab_size(), 20);
}

TEST(Tokenizer, SpecialIdsComeFromTheFile) {
  // The order of umT5: pad, eos, bos, unk.
  Json j = golden()["ties"]["tokenizer"];
  Json vocab = Json::array();
  for (const char* piece : {"<pad>", "</s>", "<s>", "<unk>", "\u2581", "a"}) vocab.push_back(Json::array({piece, -1.0}));
  j["model"]["vocab"] = vocab, j["model"]["unk_id"] = 3, j["added_tokens"] = Json::array();
  for (bool json : {true, false}) {
    auto t = must(Tokenizer::open(folder_with(json ? j.dump() : "", json ? "" : spiece_of(j), "")));
    EXPECT_EQ(t->encode("a zz <pad>", 512).ids, (std::vector<int32_t>{4, 5, 4, 3, 0, 1}));
  }
}

TEST(Tokenizer, ByteFallbackOnlyWhenTheFileSaysSo) {
  Json j = golden()["ties"]["tokenizer"];
  for (int b = 0; b < 256; ++b) j["model"]["vocab"].push_back({fmt::format("<0x{:02X}>", b), -20.0});
  j["model"]["byte_fallback"] = true;
  auto t = must(Tokenizer::open(folder_with(j.dump(), "", "")));
  EXPECT_EQ(t->encode("\u00fc", 512).ids, (std::vector<int32_t>{3, 18 + 0xc3, 18 + 0xbc, 1}));
  j["model"]["byte_fallback"] = false;
  auto off = must(Tokenizer::open(folder_with(j.dump(), "", "")));
  EXPECT_EQ(off->encode("\u00fc", 512).ids, (std::vector<int32_t>{3, 2, 1}));
}

TEST(Tokenizer, TruncationKeepsTheEnd) {
  auto t = must(Tokenizer::open(kMini));
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "a ";
  TokenIds cut = t->encode(text, 512);
  EXPECT_EQ(cut.ids.size(), 512u);
  EXPECT_TRUE(cut.truncated);
  EXPECT_EQ(cut.ids.back(), 1);
  TokenIds one = t->encode("a a", 3), same = t->encode("a a", 512), only = t->encode("a a", 1);
  EXPECT_EQ(one.ids, same.ids);
  EXPECT_FALSE(one.truncated);
  EXPECT_EQ(only.ids, (std::vector<int32_t>{1}));
  EXPECT_TRUE(only.truncated);
}

struct BadTokenizer {
  const char* name;
  std::function<void(Json&)> change;
  const char* rule;
};
void PrintTo(const BadTokenizer& b, std::ostream* out) { *out << b.name; }

const std::vector<BadTokenizer> kBad = {
    {"no_model", [](Json& j) { j.erase("model"); }, "'model' is missing"},
    {"bpe", [](Json& j) { j["model"]["type"] = "BPE"; }, "'BPE'"},
    {"no_vocab", [](Json& j) { j["model"].erase("vocab"); }, "'vocab'"},
    {"empty_vocab", [](Json& j) { j["model"]["vocab"] = Json::array(); }, "empty"},
    {"vocab_is_object", [](Json& j) { j["model"]["vocab"] = Json::object(); }, "'vocab'"},
    {"piece_without_score", [](Json& j) { j["model"]["vocab"][4] = {"a"}; }, "entry 4"},
    {"piece_is_number",
     [](Json& j) {
       j["model"]["vocab"][4] = {1, 2};
     },
     "entry 4"},
    {"score_is_text",
     [](Json& j) {
       j["model"]["vocab"][4] = {"a", "b"};
     },
     "entry 4"},
    {"no_unk", [](Json& j) { j["model"]["unk_id"] = nullptr; }, "'unk_id'"},
    {"unk_negative", [](Json& j) { j["model"]["unk_id"] = -1; }, "-1"},
    {"unk_outside", [](Json& j) { j["model"]["unk_id"] = 18; }, "18"},
    {"unk_huge", [](Json& j) { j["model"]["unk_id"] = uint64_t(1) << 63; }, "unknown piece"},
    {"huge_piece",
     [](Json& j) {
       j["model"]["vocab"][4] = {std::string(5000, 'x'), -1.0};
     },
     "piece 4"},
    {"no_end",
     [](Json& j) {
       j["model"]["vocab"][1] = {"x", -1.0};
       j["added_tokens"] = Json::array();
       j["eos"] = 1;
     },
     ""},
    {"added_without_content", [](Json& j) { j["added_tokens"][0]["content"] = ""; }, "added token"},
    {"added_is_number", [](Json& j) { j["added_tokens"] = 5; }, "'added_tokens'"},
    {"single_word", [](Json& j) { j["added_tokens"][0]["single_word"] = true; }, "single_word"},
    {"lowercase",
     [](Json& j) {
       j["normalizer"] = {{"type", "Lowercase"}};
     },
     "'Lowercase'"},
    {"nested_lowercase",
     [](Json& j) {
       j["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}};
     },
     "'Lowercase'"},
    {"not_base64",
     [](Json& j) {
       j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "@@@@"}};
     },
     "base64"},
    {"short_charsmap",
     [](Json& j) {
       j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "AAA="}};
     },
     "character map"},
    {"charsmap_size",
     [](Json& j) {
       j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "/////w=="}};
     },
     "character map"},
};

class BadTokenizerJson : public ::testing::TestWithParam<BadTokenizer> {};

TEST_P(BadTokenizerJson, IsRefusedByName) {
  Json j = golden()["ties"]["tokenizer"];
  GetParam().change(j);
  std::string folder = folder_with(j.dump(), "", "");
  auto t = Tokenizer::open(folder);
  if (std::string(GetParam().rule).empty()) {  // the end token need not be a piece: it gets an id of its own
    ASSERT_TRUE(t.ok());
    EXPECT_EQ((*t)->encode("a", 9).ids.back(), 18);
    return;
  }
  ASSERT_FALSE(t.ok());
  expect_bad_model(t.status(), {folder, GetParam().rule});
}

INSTANTIATE_TEST_SUITE_P(Json, BadTokenizerJson, ::testing::ValuesIn(kBad),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(Tokenizer, BadSpieceModels) {
  std::string good = spiece_of(golden()["ties"]["tokenizer"]);
  auto status = [&](const std::string& spiece) { return Tokenizer::open(folder_with("", spiece, "")).status(); };
  ZT_ASSERT_OK(status(good));
  expect_bad_model(Tokenizer::open(test_folder()).status(), {"neither spiece.model nor tokenizer.json"});
  expect_bad_model(status("not a model"), {"spiece.model", "not a SentencePiece model"});
  expect_bad_model(status(good + bytes_field(2, number_field(3, 2))), {"type 2", "unigram"});
  expect_bad_model(status(bytes_field(2, number_field(3, 1))), {"not a SentencePiece model"});
  expect_bad_model(status(good + varint(1 << 3 | 2) + varint(~0ull)), {"not a SentencePiece model"});
  expect_bad_model(status(bytes_field(1, bytes_field(1, "a") + float_field(2, NAN))), {"score"});
  expect_bad_model(status(bytes_field(1, bytes_field(1, "\xff") + float_field(2, 0))), {"not valid UTF-8"});
  expect_bad_model(status(good + bytes_field(3, bytes_field(2, std::string("\x08\0\0\0", 4)))), {"character map"});
  expect_bad_model(status(good + bytes_field(3, bytes_field(2, std::string("\x04\0\0\0\0\0\0\0", 8) + std::string(2000, 'x')))),
                   {"replacement"});
}

// Damaged files and the hostile text that goes with them: an error or ids inside the vocabulary.
TEST(Tokenizer, DamagedFilesNeverCrash) {
  std::string good = spiece_of(golden()["ties"]["tokenizer"], std::string());
  std::string mini = read_file(kMini + "/spiece.model"), folder = test_folder();
  Random r(9);
  int opened = 0;
  for (int i = 0; i < 300; ++i) {
    bool large = i % 50 == 0;
    std::string bad = large ? mini : good;
    if (i % 3 == 0) bad.resize(size_t(r.below(int64_t(bad.size()))));
    for (int k = 0; k < 1 + (large ? 2000 : i % 4) && !bad.empty(); ++k)
      bad[size_t(r.below(int64_t(bad.size())))] = char(r.bits());
    write_file(folder + "/spiece.model", bad);
    auto t = Tokenizer::open(folder);
    if (!t.ok()) continue;
    ++opened;
    for (std::string text : {"aba aaa zz \u00e9", "\ufb01e\u0301\u2460 \uff21", "</s><pad>"}) {
      for (int32_t id : (*t)->encode(text, 64).ids) ASSERT_TRUE(id >= 0 && id < (*t)->vocab_size());
    }
  }
  EXPECT_GT(opened, 20);
}

TEST(Tokenizer, LongWordsTakeLinearTime) {
  auto t = must(Tokenizer::open(kMini));
  EXPECT_TRUE(t->encode(std::string(400000, 'a'), 512).truncated);
  std::string marks;
  for (int i = 0; i < 100000; ++i) marks += "\u0301";
  EXPECT_FALSE(t->encode(marks, 512).ids.empty());
}

}  // namespace
}  // namespace zt
