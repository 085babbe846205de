#include "model/text/tokenizer_files.h"

#include <sys/stat.h>

#include <unordered_set>

#include "model/io/text_file.h"
#include "model/text/json_fields.h"

namespace zt {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxModelBytes = size_t(64) << 20;  // umT5's spiece.model has 4.5 MB
constexpr size_t kMaxTokenBytes = 4096;
constexpr int64_t kMaxSentinels = 10000;

bool exists(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0;
}

// A token of tokenizer_config.json: a string, or an object with its content.
std::string content_of(const Json& v) { return v.is_string() ? v.get<std::string>() : json_text(v, "content"); }

// Special tokens in the order in which the T5 tokenizer class of transformers adds them: those of the file, end, unknown,
// padding, then the listed extra ones, or where no list is given the sentinels <extra_id_N> (100 unless extra_ids is set).
Status add_special_tokens(const std::string& file, const Json& config, bool from_spiece, TokenizerFiles& t) {
  std::unordered_set<std::string> listed, pieces;
  for (const AddedToken& a : t.added) listed.insert(a.content);
  for (const Piece& p : t.pieces) pieces.insert(p.text);
  auto add = [&](const std::string& content) {
    bool usable = !content.empty() && content.size() <= kMaxTokenBytes;
    if (usable && listed.insert(content).second) t.added.push_back({content});
  };
  auto named = [&](const char* key, std::string& token) {
    if (const Json* v = json_field(config, key); v && !content_of(*v).empty()) token = content_of(*v);
    add(token);
  };
  named("eos_token", t.eos);
  named("unk_token", t.unk);
  named("pad_token", t.pad);
  for (const char* key : {"bos_token", "sep_token", "cls_token", "mask_token"}) {
    if (const Json* v = json_field(config, key)) add(content_of(*v));
  }
  const Json* n = json_field(config, "extra_ids");
  if (n && (!n->is_number_unsigned() || n->get<uint64_t>() > uint64_t(kMaxSentinels))) {
    return bad_model("{}: extra_ids is not an integer from 0 to {}", file, kMaxSentinels);
  }
  // Sentinels that nobody asked for count only where the vocabulary has them: otherwise a folder without a config would
  // claim 100 ids that its text encoder has no rows for.
  int64_t sentinels = n ? n->get<int64_t>() : 100;
  auto sentinel = [](int64_t i) { return fmt::format("<extra_id_{}>", i); };
  if (from_spiece && n) {
    // They become pieces, last one first, as in the published vocabularies; those that are pieces already stay in place.
    for (int64_t i = sentinels; i-- > 0;) {
      if (pieces.insert(sentinel(i)).second) t.pieces.push_back({sentinel(i), 0});
    }
  }
  const Json* listed_extra = json_field(config, "extra_special_tokens");
  if (const Json* v = json_field(config, "additional_special_tokens"); v && (!listed_extra || listed_extra->empty()))
    listed_extra = v;
  if (listed_extra && listed_extra->is_array()) {
    for (const Json& e : *listed_extra) add(content_of(e));
  } else {
    for (int64_t i = 0; i < sentinels; ++i) {
      if (n || pieces.count(sentinel(i))) add(sentinel(i));
    }
  }
  return ok_status();
}

}  // namespace

Result<TokenizerFiles> read_tokenizer_files(const std::string& folder) {
  std::string json = folder + "/tokenizer.json", spiece = folder + "/spiece.model", config = folder + "/tokenizer_config.json";
  TokenizerFiles t;
  bool from_spiece = !exists(json);
  if (!from_spiece) {
    ZT_ASSIGN_OR_RETURN(t, read_tokenizer_json(json));
  } else if (exists(spiece)) {
    ZT_ASSIGN_OR_RETURN(std::string bytes, read_small_file(spiece, kMaxModelBytes));
    ZT_ASSIGN_OR_RETURN(t, parse_spiece_model(spiece, bytes));
  } else {
    return bad_model("{}: neither spiece.model nor tokenizer.json is there", folder);
  }
  if (t.unk_id >= 0 && t.unk_id < int64_t(t.pieces.size())) t.unk = t.pieces[size_t(t.unk_id)].text;
  Json settings = Json::object();
  if (exists(config)) {
    ZT_ASSIGN_OR_RETURN(settings, read_json_file(config));
  }
  ZT_RETURN_IF_ERROR(add_special_tokens(config, settings, from_spiece, t));
  return t;
}

}  // namespace zt
