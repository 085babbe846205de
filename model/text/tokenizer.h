// Unigram tokenizer of the T5 family, from tokenizer.json or spiece.model (the former wins where both are there, as in
// transformers). Ids are those of transformers' T5 tokenizer and end with </s>. Not through the SentencePiece library,
// which normalises whole texts and sums scores in float: other ids for stacked marks, U+2581 in the text, and ties.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

struct TokenIds {
  std::vector<int32_t> ids;  // with </s> last
  bool truncated = false;    // the prompt was longer than max_tokens; </s> is kept as the last id
};

class Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> open(const std::string& folder);
  virtual ~Tokenizer() = default;
  virtual TokenIds encode(std::string_view text, int64_t max_tokens) const = 0;
  virtual int64_t vocab_size() const = 0;
};

}  // namespace zt
