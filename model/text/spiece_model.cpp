// Reader of the few fields needed from a SentencePiece ModelProto (sentencepiece_model.proto), in protobuf wire format.
#include <bit>
#include <cstring>

#include "model/text/tokenizer_files.h"

namespace zt {
namespace {

constexpr uint64_t kUnigram = 1;      // TrainerSpec.ModelType
constexpr uint64_t kTypeUnknown = 2;  // SentencePiece.Type

// One field of a message after the other; `ok` turns false at the first malformed byte.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  uint32_t number = 0;
  uint64_t value = 0;      // varint, fixed32, fixed64
  std::string_view chunk;  // length-delimited
  bool ok = true;

  bool next() {
    if (!ok || at_ == bytes_.size()) return false;
    uint64_t tag = 0;
    if (!varint(tag) || (tag >> 3) == 0 || (tag >> 3) > 0x1fffffff) return ok = false;
    number = uint32_t(tag >> 3);
    value = 0, chunk = {};
    switch (tag & 7) {
      case 0: return varint(value);
      case 1: return fixed(8);
      case 2: {
        uint64_t n = 0;
        if (!varint(n) || n > bytes_.size() - at_) return ok = false;
        chunk = bytes_.substr(at_, size_t(n));
        at_ += size_t(n);
        return true;
      }
      case 5: return fixed(4);
      default: return ok = false;
    }
  }

 private:
  bool varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) return ok = false;
      uint8_t b = uint8_t(bytes_[at_++]);
      out |= uint64_t(b & 127) << shift;
      if (b < 128) return true;
    }
    return ok = false;
  }
  bool fixed(size_t n) {
    if (n > bytes_.size() - at_) return ok = false;
    std::memcpy(&value, bytes_.data() + at_, n);
    at_ += n;
    return true;
  }

  std::string_view bytes_;
  size_t at_ = 0;
};

}  // namespace

Result<TokenizerFiles> parse_spiece_model(const std::string& name, std::string_view bytes) {
  constexpr size_t kMaxPieces = size_t(1) << 19;
  TokenizerFiles t;
  uint64_t type = kUnigram;
  int64_t unk_id = 0, unknown_piece = -1;
  bool ok = true;
  Fields model(bytes);
  while (model.next()) {
    Fields f(model.chunk);
    if (model.number == 1) {
      Piece p;
      uint64_t kind = 1;
      while (f.next()) {
        if (f.number == 1) p.text = std::string(f.chunk);
        if (f.number == 2) p.score = double(std::bit_cast<float>(uint32_t(f.value)));
        if (f.number == 3) kind = f.value;
      }
      if (kind == kTypeUnknown && unknown_piece < 0) unknown_piece = int64_t(t.pieces.size());
      if (t.pieces.size() == kMaxPieces) return bad_model("{}: more than {} pieces", name, kMaxPieces);
      t.pieces.push_back(std::move(p));
    } else if (model.number == 2) {
      while (f.next()) {
        if (f.number == 3) type = f.value;
        if (f.number == 40) unk_id = int32_t(f.value);
      }
    } else if (model.number == 3) {
      while (f.next()) {
        if (f.number == 2) t.charsmap = std::string(f.chunk);
      }
    }
    ok &= f.ok;
  }
  if (!ok || !model.ok || t.pieces.empty()) return bad_model("{}: not a SentencePiece model (damaged?)", name);
  if (type != kUnigram) return bad_model("{}: a SentencePiece model of type {}, supported is unigram (1)", name, type);
  t.unk_id = unknown_piece >= 0 ? unknown_piece : unk_id;
  return t;
}

}  // namespace zt
