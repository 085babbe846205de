// First byte: which of the two files the rest is. A tokenizer that opens must also encode.
#include "model/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace zt::fuzz {
namespace {

// A SentencePiece ModelProto of three pieces, written by hand: field 1 = piece {1: text, 2: score, 3: type}.
std::string tiny_spiece() {
  auto piece = [](const std::string& text, char type) {
    std::string body = std::string("\x0a") + char(text.size()) + text + std::string("\x15\0\0\x80\xbf", 5);
    if (type) body += std::string("\x18") + type;
    return std::string("\x0a") + char(body.size()) + body;
  };
  return piece("<pad>", 3) + piece("</s>", 3) + piece("<unk>", 2) + piece("\xe2\x96\x81", 0) + piece("a", 0) + piece("b", 0) +
         std::string("\x12\x02\x18\x01", 4);
}

}  // namespace

std::vector<std::string> seeds() {
  std::string json = R"({"version":"1.0","added_tokens":[{"id":0,"content":"<pad>","single_word":false,"lstrip":false,"rstrip":false,)"
                     R"("normalized":false,"special":true}],"normalizer":null,"pre_tokenizer":{"type":"Metaspace","replacement":"\u2581",)"
                     R"("add_prefix_space":true},"model":{"type":"Unigram","unk_id":2,"vocab":[["<pad>",0],["</s>",0],["<unk>",0],["\u2581",-1],)"
                     R"(["a",-2],["b",-2.5]]}})";
  return {"s" + tiny_spiece(), "j" + json};
}

void one(std::string_view input) {
  static const Scratch spiece, json;
  if (input.empty()) return;
  bool is_json = input[0] % 2 == 'j' % 2;
  const Scratch& folder = is_json ? json : spiece;
  folder.write(is_json ? "tokenizer.json" : "spiece.model", input.substr(1));
  auto t = Tokenizer::open(folder.path());
  if (!t.ok()) return require(t.status().message().find('\n') == std::string::npos);
  TokenIds ids = (*t)->encode("ab a \xc3\xa9 </s> b", 6);
  require(ids.ids.size() <= 6);
}

}  // namespace zt::fuzz
