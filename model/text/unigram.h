// Unigram language model: the most probable split of a word into pieces (Viterbi). Scores are summed in double and ties
// go to the split found first, as in the Hugging Face tokenizers library; SentencePiece sums in float, which picks other
// splits where candidates are equal up to rounding (runs of one character, say).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

struct Piece {
  std::string text;
  double score = 0;
};

class Unigram {
 public:
  // Refuses what no tokenizer has: no pieces, more than 2^19, pieces above 4096 bytes or not UTF-8, scores not finite.
  static Result<Unigram> make(std::vector<Piece> pieces, int64_t unk_id, bool byte_fallback);

  int32_t unk_id() const { return unk_id_; }
  int64_t size() const { return int64_t(pieces_.size()); }
  // Id of a piece by its text (the last one when two are equal), or -1.
  int32_t find(std::string_view text) const;
  // Appends the ids of the best split. Neighbouring unknown characters make one unk. word: valid UTF-8.
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Sorted {
    std::string_view text;
    int32_t id;
  };
  void append_piece(std::string_view text, std::vector<int32_t>& ids) const;

  std::vector<Piece> pieces_;
  std::vector<Sorted> sorted_;  // by text, one entry per text: serves as the trie
  int32_t unk_id_ = 0;
  double unk_score_ = 0;
  bool byte_fallback_ = false;
};

}  // namespace zt
