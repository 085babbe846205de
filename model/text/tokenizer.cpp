// The steps of the Hugging Face T5 tokenizer, in its order: added tokens are cut out of the raw text; the rest is
// normalised by the model's character map, split at white space, marked with U+2581, and split into pieces.
#include "model/text/tokenizer.h"

#include <algorithm>
#include <array>

#include "model/io/utf8.h"
#include "model/text/charsmap.h"
#include "model/text/tokenizer_files.h"
#include "model/text/unigram.h"

namespace zt {
namespace {

constexpr std::string_view kMark = "\xe2\x96\x81";  // U+2581, stands for a space

// The White_Space property of Unicode.
bool is_space(uint32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

struct Special {
  std::string content;
  int32_t id;
  bool lstrip, rstrip;
};

// Finds added tokens: leftmost first, the longest of those that start there.
class SpecialSet {
 public:
  bool empty() const { return all_.empty(); }
  void add(Special s) {
    if (s.content.empty()) return;
    by_first_[uint8_t(s.content[0])].push_back(all_.size());
    all_.push_back(std::move(s));
  }
  void sort() {
    for (auto& list : by_first_) {
      std::stable_sort(list.begin(), list.end(),
                       [&](size_t a, size_t b) { return all_[a].content.size() > all_[b].content.size(); });
    }
  }
  // Calls text(part) and special(id) for the parts of s, in order.
  template <class Text, class Token>
  void split(std::string_view s, Text&& text, Token&& token) const {
    size_t begin = 0;  // of the text not yet handed out
    for (size_t i = 0; i < s.size();) {
      const Special* hit = nullptr;
      for (size_t k : by_first_[uint8_t(s[i])]) {
        if (s.compare(i, all_[k].content.size(), all_[k].content) == 0) {
          hit = &all_[k];
          break;
        }
      }
      if (!hit) {
        ++i;
        continue;
      }
      size_t from = i, to = i + hit->content.size();
      i = to;
      while (hit->lstrip && from > begin && space_ends_at(s, begin, from)) from -= space_ends_at(s, begin, from);
      while (hit->rstrip && to < s.size() && is_space(utf8_at(s, to))) to += utf8_length(s, to);
      if (from > begin) text(s.substr(begin, from - begin));
      token(hit->id);
      begin = to;
      i = std::max(i, to);
    }
    if (begin < s.size()) text(s.substr(begin));
  }

 private:
  // Bytes of the white space character that ends at `end`, or 0.
  static size_t space_ends_at(std::string_view s, size_t begin, size_t end) {
    size_t at = end - 1;
    while (at > begin && (uint8_t(s[at]) & 0xc0) == 0x80) --at;
    return is_space(utf8_at(s, at)) ? end - at : 0;
  }

  std::vector<Special> all_;
  std::array<std::vector<size_t>, 256> by_first_;
};

class T5Tokenizer final : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> make(const std::string& folder) {
    ZT_ASSIGN_OR_RETURN(TokenizerFiles files, read_tokenizer_files(folder));
    std::unique_ptr<T5Tokenizer> t(new T5Tokenizer);
    auto charsmap = Charsmap::parse(files.charsmap);
    if (!charsmap.ok()) return charsmap.status().in(folder);
    t->charsmap_ = std::move(charsmap).value();
    auto unigram = Unigram::make(std::move(files.pieces), files.unk_id, files.byte_fallback);
    if (!unigram.ok()) return unigram.status().in(folder);
    t->unigram_ = std::move(unigram).value();
    t->vocab_size_ = t->unigram_.size();
    t->eos_ = -1;
    for (const AddedToken& a : files.added) {
      int32_t id = t->unigram_.find(a.content);
      if (id < 0) id = int32_t(t->vocab_size_++);
      if (a.content == files.eos) t->eos_ = id;
      std::string content = a.normalized ? t->charsmap_.normalize(a.content) : a.content;
      (a.normalized ? t->normalized_ : t->raw_).add({std::move(content), id, a.lstrip, a.rstrip});
    }
    if (t->eos_ < 0) return bad_model("{}: the end token '{}' is not in the vocabulary", folder, files.eos);
    t->raw_.sort();
    t->normalized_.sort();
    return std::unique_ptr<Tokenizer>(std::move(t));
  }

  TokenIds encode(std::string_view text, int64_t max_tokens) const override {
    ZT_CHECK(max_tokens >= 1 && first_invalid_utf8(text) == std::string_view::npos);
    TokenIds out;
    auto token = [&](int32_t id) { out.ids.push_back(id); };
    raw_.split(
        text,
        [&](std::string_view part) {
          std::string clean = charsmap_.normalize(part);
          normalized_.split(
              clean, [&](std::string_view s) { encode_words(s, out.ids); }, token);
        },
        token);
    if (int64_t(out.ids.size()) >= max_tokens) {
      out.truncated = int64_t(out.ids.size()) > max_tokens - 1;
      out.ids.resize(size_t(max_tokens - 1));
    }
    out.ids.push_back(eos_);
    return out;
  }

  int64_t vocab_size() const override { return vocab_size_; }

 private:
  T5Tokenizer() = default;

  void encode_words(std::string_view s, std::vector<int32_t>& ids) const {
    for (size_t i = 0; i < s.size();) {
      if (is_space(utf8_at(s, i))) {
        i += utf8_length(s, i);
        continue;
      }
      size_t begin = i;
      while (i < s.size() && !is_space(utf8_at(s, i))) i += utf8_length(s, i);
      encode_word(s.substr(begin, i - begin), ids);
    }
  }

  // A word gets a mark in front unless it has one; marks inside it start words of their own.
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const {
    std::string marked;
    if (word.substr(0, kMark.size()) != kMark) marked = kMark;
    marked += word;
    for (size_t begin = 0; begin < marked.size();) {
      size_t end = std::min(marked.find(kMark, begin + kMark.size()), marked.size());
      unigram_.encode(std::string_view(marked).substr(begin, end - begin), ids);
      begin = end;
    }
  }

  Charsmap charsmap_;
  Unigram unigram_;
  SpecialSet raw_, normalized_;
  int32_t eos_ = 0;
  int64_t vocab_size_ = 0;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::open(const std::string& folder) { return T5Tokenizer::make(folder); }

}  // namespace zt
