// zoetrope bench methods: what its table says about clips too small to look at; and refusals before any work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/headless/program.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using namespace zt::testing;
using nlohmann::json;

TEST(BenchMethods, TableOfMethods) {
  TempFolder dir;
  std::string here = "TMPDIR=" + dir.path();
  std::vector<std::string> args = {"bench",    "methods",
                                   "--size",   "96x96",
                                   "--frames", "5",
                                   "--steps",  "2",
                                   "--attn",   "dense",
                                   "--attn",   "window:window=1x3x3,tile=1x2x2",
                                   "--attn",   "radial:block=64,dense_steps=2"};
  Finished text = run(dir, args, {here});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("| method | density | recall | step s | render s | PSNR dB |\n|---|"));
  args.push_back("--json");
  Finished f = run(dir, args, {here});
  ASSERT_EQ(f.code, 0) << f.err;
  json rows = json::parse(f.out)["tables"][0]["rows"];
  ASSERT_EQ(rows.size(), 3u);
  // The second render of a method has the bits of the first, and a method that stays dense those of dense.
  for (size_t i : {0, 2}) {
    EXPECT_EQ(rows[i]["density"], 1);
    EXPECT_EQ(rows[i]["recall"], 1);
    EXPECT_EQ(rows[i]["PSNR dB"], "equal");
  }
  EXPECT_LT(rows[1]["density"], 1);
  EXPECT_LT(rows[1]["recall"], 1);
  EXPECT_GT(rows[1]["recall"], 0);
  EXPECT_GT(rows[1]["PSNR dB"], 0);
  for (const json& r : rows) EXPECT_GT(r["render s"], r["step s"]);
  EXPECT_TRUE(dir.entries().empty()) << "its clips are gone";
}

TEST(Bench, RefusesBeforeAnyWork) {
  TempFolder dir;
  for (const char* what : {"attention", "methods"}) {
    Finished f = run(dir, {"bench", "--attn", "dens", what});  // one method a flag: the word after it is not another
    EXPECT_EQ(f.code, 2);
    EXPECT_THAT(f.err, HasSubstr("nearest known one is 'dense'"));
    EXPECT_EQ(f.out, "");
  }
  Finished f = run(dir, {"bench", "methods", "--size", "100x100"});
  EXPECT_EQ(f.code, 2);
  EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err;
}

}  // namespace
}  // namespace zt
