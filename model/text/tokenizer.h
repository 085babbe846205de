// Unigram tokenizer of the T5 family through SentencePiece: from spiece.model, or from tokenizer.json alone (its pieces,
// scores and character map are turned into the same model). Ids end with </s>.
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
