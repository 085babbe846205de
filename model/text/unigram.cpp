#include "model/text/unigram.h"

#include <algorithm>
#include <cmath>

#include "model/io/utf8.h"

namespace zt {
namespace {

constexpr size_t kMaxPieces = size_t(1) << 19;
constexpr size_t kMaxPieceBytes = 4096;
constexpr double kUnkPenalty = 10;  // an unknown character costs this much more than the worst piece

}  // namespace

Result<Unigram> Unigram::make(std::vector<Piece> pieces, int64_t unk_id, bool byte_fallback) {
  if (pieces.empty()) return bad_model("the vocabulary is empty");
  if (pieces.size() > kMaxPieces) return bad_model("the vocabulary has {} pieces, more than {}", pieces.size(), kMaxPieces);
  if (unk_id < 0 || unk_id >= int64_t(pieces.size())) {
    return bad_model("the id of the unknown piece is {}, outside the vocabulary of {}", unk_id, pieces.size());
  }
  Unigram u;
  double lowest = pieces[0].score;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& p = pieces[i];
    if (p.text.size() > kMaxPieceBytes) return bad_model("piece {} has {} bytes, more than {}", i, p.text.size(), kMaxPieceBytes);
    if (first_invalid_utf8(p.text) != std::string_view::npos) return bad_model("piece {} is not valid UTF-8", i);
    if (!std::isfinite(p.score)) return bad_model("piece {} has a score that is not finite", i);
    lowest = std::min(lowest, p.score);
  }
  u.pieces_ = std::move(pieces);
  u.unk_id_ = int32_t(unk_id);
  u.unk_score_ = lowest - kUnkPenalty;
  u.byte_fallback_ = byte_fallback;
  for (size_t i = 0; i < u.pieces_.size(); ++i) u.sorted_.push_back({u.pieces_[i].text, int32_t(i)});
  std::stable_sort(u.sorted_.begin(), u.sorted_.end(), [](const Sorted& a, const Sorted& b) { return a.text < b.text; });
  // Of equal texts the last id counts; the others are never chosen.
  size_t n = 0;
  for (size_t i = 0; i < u.sorted_.size(); ++i) {
    bool last = i + 1 == u.sorted_.size() || u.sorted_[i + 1].text != u.sorted_[i].text;
    if (last && !u.sorted_[i].text.empty()) u.sorted_[n++] = u.sorted_[i];
  }
  u.sorted_.resize(n);
  return u;
}

int32_t Unigram::find(std::string_view text) const {
  auto it =
      std::lower_bound(sorted_.begin(), sorted_.end(), text, [](const Sorted& s, std::string_view t) { return s.text < t; });
  return it != sorted_.end() && it->text == text ? it->id : -1;
}

void Unigram::append_piece(std::string_view text, std::vector<int32_t>& ids) const {
  int32_t id = find(text);
  if (id >= 0) {
    ids.push_back(id);
    return;
  }
  if (byte_fallback_) {
    std::vector<int32_t> bytes;
    for (char c : text) {
      int32_t b = find(fmt::format("<0x{:02X}>", uint8_t(c)));
      if (b >= 0) bytes.push_back(b);
    }
    if (bytes.size() == text.size()) {
      ids.insert(ids.end(), bytes.begin(), bytes.end());
      return;
    }
  }
  ids.push_back(unk_id_);
}

void Unigram::encode(std::string_view word, std::vector<int32_t>& ids) const {
  struct Node {
    double score = 0;
    int32_t id = -1;  // of the piece that ends here; -1 = not reached
    uint32_t start = 0;
  };
  std::vector<Node> best(word.size() + 1);
  auto offer = [&](size_t start, size_t end, int32_t id, double score) {
    Node& n = best[end];
    if (n.id < 0 || score > n.score) n = {score, id, uint32_t(start)};
  };
  for (size_t start = 0; start < word.size();) {
    double here = best[start].score;
    size_t one = utf8_length(word, start);
    bool single = false;
    // All pieces that are a prefix of the rest, shortest first: narrow the sorted range byte by byte.
    auto low = sorted_.begin(), high = sorted_.end();
    for (size_t k = 0; start + k < word.size() && low != high; ++k) {
      uint8_t b = uint8_t(word[start + k]);
      auto byte_at = [k](const Sorted& s) { return s.text.size() > k ? int(uint8_t(s.text[k])) : -1; };
      low = std::lower_bound(low, high, int(b), [&](const Sorted& s, int v) { return byte_at(s) < v; });
      high = std::upper_bound(low, high, int(b), [&](int v, const Sorted& s) { return v < byte_at(s); });
      if (low == high || low->text.size() != k + 1) continue;
      single |= k + 1 == one;
      offer(start, start + k + 1, low->id, pieces_[size_t(low->id)].score + here);
    }
    if (!single) offer(start, start + one, unk_id_, unk_score_ + here);
    start += one;
  }
  // Backwards; runs of unknown characters are joined.
  std::vector<std::string_view> parts;
  size_t end = word.size(), unknown_end = 0;
  while (end > 0) {
    const Node& n = best[end];
    if (n.id == unk_id_) {
      if (unknown_end == 0) unknown_end = end;
    } else {
      if (unknown_end > 0) parts.push_back(word.substr(end, unknown_end - end));
      unknown_end = 0;
      parts.push_back(word.substr(n.start, end - n.start));
    }
    end = n.start;
  }
  if (unknown_end > 0) parts.push_back(word.substr(0, unknown_end));
  for (size_t i = parts.size(); i-- > 0;) append_piece(parts[i], ids);
}

}  // namespace zt
