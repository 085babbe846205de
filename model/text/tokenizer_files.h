// What the files of a tokenizer folder say, whichever of the two forms they come in.
#pragma once

#include <string>
#include <vector>

#include "kernels/core/status.h"
#include "model/text/unigram.h"

namespace zt {

// A string that becomes one id wherever it stands in the text, before any splitting.
struct AddedToken {
  std::string content;
  bool lstrip = false, rstrip = false;  // swallow the white space beside it
  bool normalized = false;              // looked for in the normalised text
};

struct TokenizerFiles {
  std::vector<Piece> pieces;
  int64_t unk_id = 0;
  bool byte_fallback = false;
  std::string charsmap;           // bytes of precompiled_charsmap, may be empty
  std::vector<AddedToken> added;  // in order; those that are no piece get the next free ids
  std::string eos = "</s>", unk, pad = "<pad>";
};

// spiece.model: a serialised SentencePiece ModelProto of type unigram.
Result<TokenizerFiles> parse_spiece_model(const std::string& name, std::string_view bytes);
// tokenizer.json of the Hugging Face tokenizers library, model type Unigram.
Result<TokenizerFiles> read_tokenizer_json(const std::string& file);
// tokenizer.json when it is there, else spiece.model; then tokenizer_config.json, if any, for the special tokens.
Result<TokenizerFiles> read_tokenizer_files(const std::string& folder);

}  // namespace zt
