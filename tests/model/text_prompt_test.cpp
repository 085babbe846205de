#include "model/text/prompt.h"

#include <nlohmann/json.hpp>

#include "tests/model/io_support.h"

namespace zt {
namespace {

using namespace zt::testing;

TEST(Prompt, CleansAsTheReference) {
  auto golden = nlohmann::json::parse(read_file(source_file("tests/golden/prompt_golden.json")));
  ASSERT_GT(golden.size(), 150u);
  for (const auto& pair : golden) {
    EXPECT_EQ(must(clean_prompt(pair[0].get<std::string>())), pair[1].get<std::string>()) << pair[0];
  }
}

TEST(Prompt, InvalidUtf8NamesTheByte) {
  for (auto [text, at] :
       {std::pair{"\xff", "byte 0"}, std::pair{"ab\xc3", "byte 2"}, std::pair{"a\xed\xa0\x80", "byte 1"},
        std::pair{"\xc0\xaf", "byte 0"}, std::pair{"ok \xf4\x90\x80\x80", "byte 3"}, std::pair{"a\x80", "byte 1"}}) {
    auto r = clean_prompt(text);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(int(r.status().code()), int(Code::kInvalid));
    EXPECT_THAT(r.status().message(), ::testing::HasSubstr(at));
  }
  auto r = clean_prompt(std::string_view("a\0b", 3));
  ASSERT_FALSE(r.ok());
  EXPECT_THAT(r.status().message(), ::testing::HasSubstr("NUL at byte 1"));
}

TEST(Prompt, LongInputIsLinear) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "&a";
  EXPECT_EQ(must(clean_prompt(text)), text);
  EXPECT_EQ(must(clean_prompt("&#" + std::string(1000000, '1') + ";")), "\ufffd");
  EXPECT_EQ(must(clean_prompt(std::string(1000000, ' '))), "");
}

}  // namespace
}  // namespace zt
