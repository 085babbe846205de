// What validation and the text reader refuse, each with the line it says; and thousands of damaged texts.
#include <gmock/gmock.h>

#include <functional>

#include "kernels/plan/plan_build.h"
#include "kernels/plan/plan_text.h"
#include "kernels/plan/sha256.h"
#include "kernels/plan/toml.h"
#include "tests/kernels/plan_random.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::Random;
using testing::random_parts;

PlanParts small() {
  PlanParts p;
  p.q = Blocks::uniform(10, 4);  // 4, 4, 2
  p.k = Blocks::uniform(8, 4);
  p.row_offsets = {0, 2, 3, 4};
  p.cols = {0, 1, 1, 0};
  return p;
}

void refused(const std::function<void(PlanParts&)>& change, const char* line) {
  PlanParts p = small();
  change(p);
  auto r = AttentionPlan::make(std::move(p));
  ASSERT_FALSE(r.ok()) << "should say: " << line;
  EXPECT_EQ(r.status().code(), Code::kInvalid);
  EXPECT_THAT(r.status().message(), HasSubstr(line));
}

TEST(PlanValidation, NamesWhatIsWrong) {
  EXPECT_TRUE(AttentionPlan::make(small()).ok());
  refused([](auto& p) { p.heads = 0; }, "0 heads");
  refused([](auto& p) { p.q.block = 0; }, "query block size 0");
  refused([](auto& p) { p.k.block = 5000; }, "key block size 5000");
  refused([](auto& p) { p.q.valid[1] = 5; }, "query block 1 holds 5 tokens, allowed are 1..4");
  refused([](auto& p) { p.k.valid[0] = 0; }, "key block 0 holds 0 tokens");
  refused([](auto& p) { p.row_offsets.pop_back(); }, "3 row offsets, expected 4");
  refused([](auto& p) { p.heads = 2; }, "4 row offsets, expected 7");
  refused([](auto& p) { p.row_offsets[0] = 1; }, "run from 0");
  refused([](auto& p) { p.row_offsets[1] = 900, p.row_offsets[2] = 2; }, "row offset 2 decreases");
  refused([](auto& p) { p.row_offsets[1] = -5; }, "row offset 1 decreases");
  refused([](auto& p) { p.cols[2] = 2; }, "row 1 names key block 2, allowed are 0..1");
  refused([](auto& p) { p.cols[0] = -1; }, "row 0 names key block -1");
  refused([](auto& p) { std::swap(p.cols[0], p.cols[1]); }, "row 0 is not sorted");
  refused([](auto& p) { p.cols[1] = 0; }, "names key block 0 twice");
  refused([](auto& p) { p.k_bias = {0}; }, "1 key biases for 2 key blocks");
  refused([](auto& p) { p.k_bias = {0, -INFINITY}; }, "key bias 1 is not finite");
  refused([](auto& p) { p.head_set = {0, 1}; }, "head 1 uses list set 1, allowed are 0..0");
  refused([](auto& p) { p.dense = true; }, "no lists");
  refused([](auto& p) { p.mask_of = {0}; }, "1 mask indices for 4 kept blocks");
  refused([](auto& p) { p.mask_of = {0, -1, -1, -1}; }, "names mask 0");
  refused([](auto& p) { p.mask_words = {1}; }, "that no block names");
  refused([](auto& p) { p.mask_of.assign(4, -1), p.mask_words = {1}; }, "not a whole number of masks of 4");
  refused([](auto& p) { p.mask_of.assign(4, -1), p.mask_words.assign(4, 0); }, "mask 0 keeps no pair");
  refused([](auto& p) { p.mask_of.assign(4, -1), p.mask_words = {1, 16, 0, 0}; }, "mask 0 has bits beyond block size 4");
  // Row 2 holds two queries: a mask whose third row keeps a key fits rows 0 and 1 only.
  refused([](auto& p) { p.mask_of = {0, -1, -1, 0}, p.mask_words = {1, 0, 1, 0}; }, "beyond the 2 x 4 tokens of row 2");
  refused([](auto& p) { p.q_order.sets = 1; }, "query order has 0 entries");
  refused([](auto& p) { p.k_order = {1, {0, 1, 2, 3, 4, 5, 6, 8}, {}, {}}; }, "names token 8");
  refused([](auto& p) { p.k_order = {1, {0, 1, 2, 3, 4, 5, 6, 6}, {}, {}}; }, "names token 6 twice");
  refused([](auto& p) { p.k_order = {1, {0, 1, 2, 3, 4, 5, 6, 7}, {}, {1}}; }, "head 0 uses key order 1");
  refused([](auto& p) { p.k_order.head_set = {0}; }, "has heads but no order");
  refused([](auto& p) { p.head_set = {0, 0}, p.k_order = {1, {0, 1, 2, 3, 4, 5, 6, 7}, {}, {0, 0, 0}}; }, "disagree");
  refused([](auto& p) { p.linear.emplace().cols = {0}; }, "need the scope `listed`");
  refused([](auto& p) { p.linear.emplace().scope = LinearScope::listed; }, "0 linear row offsets");
  refused([](auto& p) { p.linear.emplace().blend = Blend::lerp; }, "0 blend factors, expected 3");
  refused([](auto& p) { p.linear.emplace().blend = Blend::lerp, p.linear->alpha = {0, NAN, 1}; }, "blend factor nan");
  refused([](auto& p) { p.linear.emplace().feature = FeatureMap(7); }, "unknown kind");
}

std::string text() { return plan_to_text(*must(AttentionPlan::make(small()))); }

void replaced(const char* from, const char* to, const char* line) {
  std::string s = text();
  size_t at = s.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  auto r = plan_from_text(s.replace(at, std::string(from).size(), to));
  ASSERT_FALSE(r.ok()) << "should say: " << line;
  EXPECT_EQ(r.status().code(), Code::kInvalid);
  EXPECT_THAT(r.status().message(), HasSubstr(line));
}

TEST(PlanText, RefusesWhole) {
  EXPECT_TRUE(plan_from_text(text()).ok());
  replaced("version = 1", "version = 2", "version 2, this program reads version 1");
  replaced("version = 1", "", "no version");
  replaced("hash = \"", "hash = \"0", "changed or damaged");
  replaced("hash", "hush", "'hash' is missing");
  replaced("cols = [0, 1, 1, 0]", "cols = [1, 0, 1, 0]", "not sorted");
  replaced("cols = [0, 1, 1, 0]", "cols = [0, 1, 0, 0]", "changed or damaged");
  replaced("cols = [0, 1, 1, 0]", "cols = [0, 1, 1]", "row offsets must run from 0");
  replaced("cols = [0, 1, 1, 0]", "cols = [0, 1, 1, 9999999999]", "allowed are 0..2147483647");
  replaced("cols = [0, 1, 1, 0]", "cols = [0, 1, 1, 0.5]", "whole numbers");
  replaced("row_counts = [2, 1, 1]", "row_counts = [2, 2]", "3 row offsets, expected 4");
  replaced("row_counts = [2, 1, 1]", "row_counts = [2, 3, -1]", "holds -1");
  replaced("valid = [4, 4]", "valid = [4, 5]", "key block 1 holds 5");
  replaced("dense = false", "dense = 0", "must be true or false");
  replaced("dense = false", "dense = true", "no lists");
  replaced("[lists]", "[list]", "unknown table [list]");
  replaced("[lists]", "[k]", "stands twice");
  replaced("list_sets = 1", "list_sets = 1\nextra = 2", "unknown key 'extra'");
  replaced("list_sets = 1", "list_sets = 1\nlist_sets = 1", "stands twice");
  replaced("list_sets = 1", "list_sets = 100000", "allowed are 1..4096");
  EXPECT_THAT(plan_from_text("").status().message(), HasSubstr("no version"));
  EXPECT_THAT(plan_from_text(std::string("version = 1\0", 12)).status().message(), HasSubstr("not a text file"));
  EXPECT_THAT(plan_from_text(std::string(kMaxPlanText + 1, ' ')).status().message(), HasSubstr("bytes of text"));
}

// Whatever the damage, the answer is a refusal or the same plan, never a crash and never another plan.
TEST(PlanText, DamagedTextsAreNeverTaken) {
  Random r(7);
  int taken = 0;
  for (int i = 0; i < 6000; ++i) {
    PlanPtr plan = must(AttentionPlan::make(random_parts(r, {.max_tokens = 30})));
    std::string s = plan_to_text(*plan);
    for (int64_t n = 1 + r.below(4); n > 0 && !s.empty(); --n) {
      size_t at = size_t(r.below(int64_t(s.size())));
      switch (r.below(5)) {
        case 0: s[at] = char(r.below(256)); break;
        case 1: s.erase(at, size_t(1 + r.below(10))); break;
        case 2: s.insert(at, 1, "0123456789-[],=\"\n#.e"[r.below(20)]); break;
        case 3: s.insert(at, s.substr(size_t(r.below(int64_t(s.size()))), size_t(r.below(40)))); break;
        default: s.resize(at + 1);
      }
    }
    auto back = plan_from_text(s);
    if (!back.ok()) continue;
    ++taken;
    ASSERT_EQ(hex((*back)->hash()), hex(plan->hash()));
  }
  EXPECT_LT(taken, 3000);  // damage in the comment, in blanks, or undone
}

TEST(Toml, ReadsTheSubset) {
  auto doc =
      must(parse_toml("a = 1 # x\nb = [1, 2,\n # in between\n 3,]\r\nc = [0.5, 2]\nd = 'x\\'\ne = \"q\\\"\"\n[t]\nf = "
                      "-3\n[[u]]\n[[u]]\ng = [\"x\"]",
                      1000));
  EXPECT_EQ(must(doc.root.integer("a", 0, 9)), 1);
  EXPECT_EQ(must(doc.root.integers("b", 0, 9)), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(must(doc.root.numbers("c")), (std::vector<double>{0.5, 2}));
  EXPECT_EQ(must(doc.root.text("d")), "x\\");
  EXPECT_EQ(must(doc.root.text("e")), "q\"");
  EXPECT_TRUE(doc.root.finish().ok());
  ASSERT_EQ(doc.tables.size(), 3u);
  EXPECT_EQ(must(doc.tables[0].integer("f", -5, 5)), -3);
  EXPECT_EQ(must(doc.tables[2].texts("g")), std::vector<std::string>{"x"});
}

TEST(Toml, RefusesByLine) {
  auto says = [](const char* s, const char* line) { EXPECT_THAT(parse_toml(s, 1000).status().message(), HasSubstr(line)) << s; };
  says("a = 1\nb", "line 2: expected key = value");
  says("a = 1 2", "unexpected text");
  says("a = 1\n\na = 2", "line 3: key 'a' stands twice");
  says("a = [1, \"x\"]", "mixed types");
  says("a = [[1]]", "not a value");
  says("a = {b = 1}", "not a value");
  says("a = 1979-05-27", "not a value");
  says("a = nan", "not a value");
  says("a = -inf", "not a value");
  says("a = \"x", "closing quote");
  says("a = [1 2]", "expected ','");
  says("[a]\n[a]", "stands twice");
  says("[a", "table name");
  says("a = \"x\\ny\"", "unknown escape");
  says("a = 'x\ty'", "control character");
  says("a = \"x\x1by\"", "control character");
}

TEST(Sha256, KnownDigests) {
  auto digest = [](std::string_view s, size_t piece) {
    Sha256 h;
    for (size_t i = 0; i < s.size(); i += piece) h.add(s.substr(i, piece));
    return hex(h.finish());
  };
  EXPECT_EQ(digest("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 100),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  std::string many(1000003, 'a');
  for (size_t piece : {1u, 63u, 64u, 65u, 1000003u}) {
    EXPECT_EQ(digest(many, piece), "cf5f310cac13bb0f1de288d09940e8ee441e8d5d88b0fd4ec6021c405fda8c8c") << piece;
  }
}

}  // namespace
}  // namespace zt
