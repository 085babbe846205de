// The character map of a SentencePiece model (precompiled_charsmap), applied as the Hugging Face tokenizers library
// applies it: one lookup per short grapheme cluster, else one per character. SentencePiece itself takes the longest match
// at every position; the two differ on some stacked marks, and the pipelines of this family use the former.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

class Charsmap {
 public:
  Charsmap() = default;  // changes nothing
  // blob: u32 size, a double-array trie of that many bytes (Darts-clone), then NUL-terminated replacements.
  static Result<Charsmap> parse(std::string_view blob);
  // text must be valid UTF-8; the result is, too.
  std::string normalize(std::string_view text) const;

 private:
  // Replacement for the shortest key that is a prefix of `chunk`; false when there is none.
  bool lookup(std::string_view chunk, std::string_view& replacement) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;
};

}  // namespace zt
