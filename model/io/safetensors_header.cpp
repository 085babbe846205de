#include "model/io/safetensors_header.h"

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "model/io/text_file.h"
#include "model/io/utf8.h"

namespace zt {
namespace {

constexpr size_t kMaxEntries = 65536;
constexpr size_t kMaxNameBytes = 4096;
constexpr uint64_t kMaxDim = uint64_t(1) << 31;

struct TypeName {
  std::string_view name;
  DType type;
};
constexpr TypeName kTypes[] = {
    {"F32", DType::f32}, {"BF16", DType::bf16}, {"F16", DType::f16}, {"F8_E4M3", DType::f8_e4m3}, {"F8_E5M2", DType::f8_e5m2},
    {"I8", DType::i8},   {"U8", DType::u8},     {"BOOL", DType::u8}, {"I32", DType::i32},         {"I64", DType::i64}};
// Types of the format that no DType holds; no model of this family uses them.
constexpr std::string_view kOtherTypes[] = {"F64", "I16", "U16", "U32", "U64", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64"};

// Reads the grammar; the first problem stops it. Members return false once failed().
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool failed() const { return !problem_.empty(); }
  const std::string& problem() const { return problem_; }
  bool fail(std::string why) {
    if (problem_.empty()) problem_ = std::move(why);
    return false;
  }

  void spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  bool at_end() {
    spaces();
    return at_ == text_.size();
  }
  bool take(char c) {
    spaces();
    if (failed() || at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool expect(char c) {
    if (take(c)) return true;
    return fail(fmt::format("header: expected '{}' at byte {}", c, at_));
  }

  bool string(std::string& out, size_t max_bytes, std::string_view what) {
    if (!expect('"')) return false;
    out.clear();
    while (at_ < text_.size()) {
      char c = text_[at_++];
      if (c == '"') return true;
      if (uint8_t(c) < 0x20) return fail(fmt::format("header: control byte in {} at byte {}", what, at_ - 1));
      if (c == '\\') {
        if (!escape(out)) return false;
      } else {
        out += c;
      }
      if (out.size() > max_bytes) return fail(fmt::format("header: {} is longer than {} bytes", what, max_bytes));
    }
    return fail("header: a string does not end");
  }

  bool number(uint64_t& out, std::string_view what) {
    spaces();
    size_t start = at_;
    out = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      uint64_t digit = uint64_t(text_[at_++] - '0');
      if (__builtin_mul_overflow(out, uint64_t(10), &out) || __builtin_add_overflow(out, digit, &out)) {
        return fail(fmt::format("{} overflows 64 bits", what));
      }
    }
    bool leading_zero = at_ - start > 1 && text_[start] == '0';
    bool fraction = at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E');
    if (at_ == start || leading_zero || fraction) return fail(fmt::format("{} is not a non-negative integer", what));
    return true;
  }

 private:
  bool hex4(uint32_t& out) {
    out = 0;
    for (int i = 0; i < 4; ++i) {
      char c = at_ < text_.size() ? text_[at_++] : ' ';
      uint32_t d = c >= '0' && c <= '9'   ? uint32_t(c - '0')
                   : c >= 'a' && c <= 'f' ? uint32_t(c - 'a' + 10)
                   : c >= 'A' && c <= 'F' ? uint32_t(c - 'A' + 10)
                                          : 16;
      if (d == 16) return fail(fmt::format("header: bad \\u escape at byte {}", at_));
      out = out * 16 + d;
    }
    return true;
  }

  bool escape(std::string& out) {
    char c = at_ < text_.size() ? text_[at_++] : ' ';
    switch (c) {
      case '"':
      case '\\':
      case '/': out += c; return true;
      case 'b': out += '\b'; return true;
      case 'f': out += '\f'; return true;
      case 'n': out += '\n'; return true;
      case 'r': out += '\r'; return true;
      case 't': out += '\t'; return true;
      case 'u': break;
      default: return fail(fmt::format("header: bad escape at byte {}", at_ - 1));
    }
    uint32_t u = 0, low = 0;
    if (!hex4(u)) return false;
    if (u >= 0xd800 && u < 0xdc00) {
      if (text_.substr(at_, 2) != "\\u") return fail("header: lone surrogate in a string");
      at_ += 2;
      if (!hex4(low)) return false;
      if (low < 0xdc00 || low > 0xdfff) return fail("header: lone surrogate in a string");
      u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    } else if (u >= 0xdc00 && u < 0xe000) {
      return fail("header: lone surrogate in a string");
    }
    append_utf8(out, u);
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string problem_;
};

bool read_dtype(Reader& r, const std::string& where, HeaderEntry& e) {
  std::string name;
  if (!r.string(name, 32, "a dtype")) return false;
  for (const TypeName& t : kTypes) {
    if (t.name == name) {
      e.dtype = t.type;
      return true;
    }
  }
  bool known = std::find(std::begin(kOtherTypes), std::end(kOtherTypes), name) != std::end(kOtherTypes);
  return r.fail(fmt::format("{}: dtype '{}' is {}", where, quotable(name), known ? "not supported" : "not a safetensors dtype"));
}

bool read_shape(Reader& r, const std::string& where, HeaderEntry& e) {
  if (!r.expect('[')) return false;
  std::array<int64_t, kMaxRank> dims{};
  size_t rank = 0;
  if (!r.take(']')) {
    do {
      uint64_t d = 0;
      if (!r.number(d, where + ": a dimension of its shape")) return false;
      if (rank == kMaxRank) return r.fail(fmt::format("{}: more than {} dimensions", where, kMaxRank));
      if (d > kMaxDim) return r.fail(fmt::format("{}: dimension {} is larger than 2^31", where, d));
      dims[rank++] = int64_t(d);
    } while (r.take(','));
    if (!r.expect(']')) return false;
  }
  e.shape = Shape(std::span<const int64_t>(dims.data(), rank));
  return true;
}

bool read_entry(Reader& r, HeaderEntry& e) {
  std::string where = fmt::format("tensor '{}'", quotable(e.name)), key;
  bool dtype = false, shape = false, offsets = false;
  if (!r.expect('{')) return false;
  if (!r.take('}')) {
    do {
      if (!r.string(key, 64, "a key") || !r.expect(':')) return false;
      bool* seen = key == "dtype" ? &dtype : key == "shape" ? &shape : key == "data_offsets" ? &offsets : nullptr;
      if (!seen) return r.fail(fmt::format("{}: unknown key '{}'", where, quotable(key)));
      if (*seen) return r.fail(fmt::format("{}: duplicate key '{}'", where, key));
      *seen = true;
      if (seen == &dtype) {
        if (!read_dtype(r, where, e)) return false;
      } else if (seen == &shape) {
        if (!read_shape(r, where, e)) return false;
      } else {
        std::string what = where + ": data_offsets";
        if (!r.expect('[') || !r.number(e.begin, what) || !r.expect(',') || !r.number(e.end, what) || !r.expect(']'))
          return false;
      }
    } while (r.take(','));
    if (!r.expect('}')) return false;
  }
  if (!dtype || !shape || !offsets) {
    return r.fail(fmt::format("{}: key '{}' is missing", where, !dtype ? "dtype" : !shape ? "shape" : "data_offsets"));
  }
  return true;
}

bool read_metadata(Reader& r, std::map<std::string, std::string>& metadata) {
  if (!r.expect('{')) return false;
  if (r.take('}')) return true;
  std::string key, value;
  do {
    if (!r.string(key, kMaxNameBytes, "a metadata key") || !r.expect(':')) return false;
    if (!r.string(value, size_t(100) << 20, "a metadata value")) return false;
    if (!metadata.emplace(key, std::move(value)).second)
      return r.fail(fmt::format("__metadata__: duplicate key '{}'", quotable(key)));
    if (metadata.size() > kMaxEntries) return r.fail(fmt::format("__metadata__: more than {} entries", kMaxEntries));
  } while (r.take(','));
  return r.expect('}');
}

// Sizes fit the shapes, and the data is covered from first to last byte without overlap or hole.
Status check_layout(std::vector<HeaderEntry>& entries, uint64_t data_bytes) {
  for (const HeaderEntry& e : entries) {
    std::string where = fmt::format("tensor '{}'", quotable(e.name));
    std::array<int64_t, kMaxRank> dims{};
    for (int i = 0; i < e.shape.rank(); ++i) dims[size_t(i)] = e.shape[i];
    auto bytes = checked_bytes({dims.data(), size_t(e.shape.rank())}, e.dtype);
    if (!bytes || *bytes > data_bytes) return bad_model("{}: its shape {} is larger than the file", where, e.shape.str());
    if (e.begin > e.end) return bad_model("{}: data_offsets run backwards", where);
    if (e.end > data_bytes) return bad_model("{}: data_offsets end at byte {} of {}", where, e.end, data_bytes);
    if (e.end - e.begin != *bytes) {
      return bad_model("{}: data_offsets span {} bytes, shape {} of {} needs {}", where, e.end - e.begin, e.shape.str(),
                       dtype_name(e.dtype), *bytes);
    }
  }
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  for (const HeaderEntry& e : entries) {
    if (e.begin != covered) {
      return bad_model("tensor '{}': {} before its data_offsets", quotable(e.name), e.begin < covered ? "overlap" : "hole");
    }
    covered = e.end;
  }
  if (covered != data_bytes) return bad_model("{} bytes of data belong to no tensor", data_bytes - covered);
  return ok_status();
}

}  // namespace

std::string_view safetensors_dtype_name(DType t) {
  for (const TypeName& n : kTypes) {
    if (n.type == t) return n.name;
  }
  ZT_CHECK(false && "no safetensors name");
  return {};
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, uint64_t data_bytes) {
  if (text.empty() || text[0] != '{') return bad_model("header: does not start with '{{'");
  size_t bad = first_invalid_utf8(text);
  if (bad != std::string_view::npos) return bad_model("header: byte {} is not valid UTF-8", bad);
  SafetensorsHeader h;
  Reader r(text);
  std::unordered_set<std::string> names;
  bool metadata = false;
  r.expect('{');
  if (!r.take('}')) {
    do {
      HeaderEntry e;
      if (!r.string(e.name, kMaxNameBytes, "a tensor name") || !r.expect(':')) break;
      if (e.name == "__metadata__") {
        if (metadata) r.fail("header: duplicate key '__metadata__'");
        metadata = true;
        if (!read_metadata(r, h.metadata)) break;
        continue;
      }
      if (e.name.find('\0') != std::string::npos) r.fail("header: NUL in a tensor name");
      if (!names.insert(e.name).second) r.fail(fmt::format("tensor '{}': duplicate name", quotable(e.name)));
      if (names.size() > kMaxEntries) r.fail(fmt::format("header: more than {} entries", kMaxEntries));
      if (r.failed() || !read_entry(r, e)) break;
      h.entries.push_back(std::move(e));
    } while (r.take(','));
    if (!r.failed()) r.expect('}');
  }
  if (!r.failed() && !r.at_end()) r.fail("header: bytes behind the closing '}'");
  if (r.failed()) return bad_model("{}", r.problem());
  ZT_RETURN_IF_ERROR(check_layout(h.entries, data_bytes));
  return h;
}

}  // namespace zt
