#include <nlohmann/json.hpp>

#include <array>

#include "model/io/text_file.h"
#include "model/text/json_fields.h"
#include "model/text/tokenizer_files.h"

namespace zt {
namespace {

// umT5's 256,300 pieces are a file of 17 MB with 770,000 values.
constexpr JsonLimits kLimits{size_t(64) << 20, size_t(5) << 18, 1 << 17, 32};

using Json = nlohmann::json;

bool decode_base64(std::string_view in, std::string& out) {
  std::array<int8_t, 256> value{};
  value.fill(-1);
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kDigits.size(); ++i) value[uint8_t(kDigits[i])] = int8_t(i);
  while (!in.empty() && in.back() == '=') in.remove_suffix(1);
  if (in.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int have = 0;
  for (char c : in) {
    if (value[uint8_t(c)] < 0) return false;
    bits = bits << 6 | uint32_t(value[uint8_t(c)]);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out += char(bits >> have);
      bits &= (1u << have) - 1;
    }
  }
  return true;
}

// Only the character map matters: white space is split off and marked the same way whatever the file's other steps say,
// as the T5 tokenizer class of transformers 5 does. Steps that would change letters are refused.
Status read_normalizer(const std::string& file, const Json& n, TokenizerFiles& t) {
  std::string type = json_text(n, "type");
  if (type == "Sequence") {
    const Json* list = json_field(n, "normalizers");
    if (!list || !list->is_array()) return bad_model("{}: normalizer: 'normalizers' is missing", file);
    for (const Json& step : *list) ZT_RETURN_IF_ERROR(read_normalizer(file, step, t));
    return ok_status();
  }
  if (type == "Precompiled") {
    std::string map;
    if (!decode_base64(json_text(n, "precompiled_charsmap"), map))
      return bad_model("{}: precompiled_charsmap is not base64", file);
    if (t.charsmap.empty()) t.charsmap = std::move(map);
    return ok_status();
  }
  if (type == "Strip" || type == "Replace") return ok_status();
  return bad_model("{}: normalizer '{}' is not supported", file, quotable(type));
}

Status read_vocabulary(const std::string& file, const Json& model, TokenizerFiles& t) {
  std::string type = json_text(model, "type");
  if (type != "Unigram") return bad_model("{}: model type '{}', supported is Unigram", file, quotable(type));
  const Json* vocab = json_field(model, "vocab");
  if (!vocab || !vocab->is_array()) return bad_model("{}: model: 'vocab' is missing or not a list", file);
  t.pieces.reserve(vocab->size());
  for (const Json& e : *vocab) {
    if (!e.is_array() || e.size() != 2 || !e[0].is_string() || !e[1].is_number()) {
      return bad_model("{}: model: vocab entry {} is not a pair of piece and score", file, t.pieces.size());
    }
    t.pieces.push_back({e[0].get<std::string>(), e[1].get<double>()});
  }
  const Json* unk = json_field(model, "unk_id");
  if (!unk || !unk->is_number_integer()) return bad_model("{}: model: 'unk_id' is missing or not an integer", file);
  t.unk_id = unk->get<int64_t>();
  t.byte_fallback = json_flag(model, "byte_fallback");
  return ok_status();
}

Status add_token(const std::string& file, const Json& e, TokenizerFiles& t) {
  AddedToken a{json_text(e, "content"), json_flag(e, "lstrip"), json_flag(e, "rstrip"), json_flag(e, "normalized")};
  if (a.content.empty() || a.content.size() > 4096) return bad_model("{}: an added token has no content, or too much", file);
  if (json_flag(e, "single_word"))
    return bad_model("{}: added token '{}': single_word is not supported", file, quotable(a.content));
  t.added.push_back(std::move(a));
  return ok_status();
}

}  // namespace

Result<TokenizerFiles> read_tokenizer_json(const std::string& file) {
  ZT_ASSIGN_OR_RETURN(Json j, read_json_file(file, kLimits));
  TokenizerFiles t;
  const Json* model = json_field(j, "model");
  if (!model) return bad_model("{}: 'model' is missing", file);
  ZT_RETURN_IF_ERROR(read_vocabulary(file, *model, t));
  if (const Json* n = json_field(j, "normalizer")) ZT_RETURN_IF_ERROR(read_normalizer(file, *n, t));
  if (const Json* added = json_field(j, "added_tokens")) {
    if (!added->is_array()) return bad_model("{}: 'added_tokens' is not a list", file);
    for (const Json& e : *added) ZT_RETURN_IF_ERROR(add_token(file, e, t));
  }
  return t;
}

}  // namespace zt
