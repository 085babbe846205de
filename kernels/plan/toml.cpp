#include "kernels/plan/toml.h"

#include <charconv>
#include <cmath>
#include <set>

namespace zt {
namespace {

bool key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<TomlDocument> run() {
    TomlDocument doc;
    TomlTable* table = &doc.root;
    std::set<std::string, std::less<>> single, repeated;
    for (skip_lines(); at_ < text_.size(); skip_lines()) {
      if (peek() == '[') {
        bool array = text_.substr(at_, 2) == "[[";
        at_ += array ? 2 : 1;
        skip_blanks();
        std::string name = key();
        skip_blanks();
        std::string_view close = array ? "]]" : "]";
        if (name.empty() || text_.substr(at_, close.size()) != close) return error("expected a table name and {}", close);
        at_ += close.size();
        // The same name twice only as [[name]].
        if (single.contains(name) || (!array && repeated.contains(name))) return error("table '{}' stands twice", name);
        (array ? repeated : single).insert(name);
        if (doc.tables.size() >= kMaxTables) return error("more than {} tables", kMaxTables);
        doc.tables.emplace_back(name, line_);
        table = &doc.tables.back();
      } else {
        std::string name = key();
        skip_blanks();
        if (name.empty() || peek() != '=') return error("expected key = value");
        ++at_;
        skip_blanks();
        TomlValue value;
        value.line = line_;
        ZT_RETURN_IF_ERROR(parse_value(value));
        ZT_RETURN_IF_ERROR(table->insert(name, std::move(value)));
      }
      skip_blanks();
      if (peek() == '#') skip_comment();
      if (at_ < text_.size() && peek() != '\n') return error("unexpected text after a value");
    }
    return doc;
  }

 private:
  static constexpr size_t kMaxTables = 4096;

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  template <class... A>
  Status error(fmt::format_string<A...> f, A&&... a) const {
    return invalid("line {}: {}", line_, fmt::format(f, std::forward<A>(a)...));
  }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t' || (peek() == '\r' && text_.substr(at_, 2) == "\r\n")) ++at_;
  }
  void skip_comment() {
    while (at_ < text_.size() && peek() != '\n') ++at_;
  }
  void skip_lines() {  // blanks, comments and line ends
    for (;;) {
      skip_blanks();
      if (peek() == '#') skip_comment();
      if (peek() != '\n') return;
      ++at_, ++line_;
    }
  }
  std::string key() {
    size_t begin = at_;
    while (key_char(peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Status string(std::string& out) {
    char quote = text_[at_++];
    while (peek() != quote) {
      if (at_ >= text_.size() || peek() == '\n') return error("a string without its closing quote");
      char c = text_[at_++];
      if (c == '\\' && quote == '"') {
        char e = peek();
        ++at_;
        if (e != '"' && e != '\\') return error("unknown escape in a string");
        c = e;
      }
      // No name or number of a plan has one, and messages that quote a string stay one line.
      if (uint8_t(c) < 0x20 || c == 0x7f) return error("a control character in a string");
      out.push_back(c);
    }
    ++at_;
    return {};
  }

  // One scalar; integers stay apart from floats.
  Status scalar(std::variant<bool, int64_t, double, std::string>& out) {
    if (peek() == '"' || peek() == '\'') return string(out.emplace<std::string>());
    size_t begin = at_;
    while (key_char(peek()) || peek() == '+' || peek() == '.') ++at_;
    std::string_view word = text_.substr(begin, at_ - begin);
    if (word == "true" || word == "false") {
      out = word == "true";
      return {};
    }
    std::string_view digits = word.starts_with('+') ? word.substr(1) : word;
    bool number = !digits.empty() && ((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '-');
    int64_t i = 0;
    double d = 0;
    const char* end = digits.data() + digits.size();
    auto whole = std::from_chars(digits.data(), end, i);
    if (number && whole.ec == std::errc() && whole.ptr == end) {
      out = i;
      return {};
    }
    auto real = std::from_chars(digits.data(), end, d);
    if (!number || real.ec != std::errc() || real.ptr != end || !std::isfinite(d)) {
      return error("'{}' is not a value", word.substr(0, 40));
    }
    out = d;
    return {};
  }

  Status parse_value(TomlValue& value) {
    std::variant<bool, int64_t, double, std::string> one;
    if (peek() != '[') {
      ZT_RETURN_IF_ERROR(scalar(one));
      std::visit([&](auto&& x) { value.data = std::move(x); }, std::move(one));
      return {};
    }
    ++at_;
    std::vector<int64_t> integers;
    std::vector<double> numbers;  // as soon as one is a float
    std::vector<std::string> strings;
    for (skip_lines(); peek() != ']'; skip_lines()) {
      ZT_RETURN_IF_ERROR(scalar(one));
      bool text = std::holds_alternative<std::string>(one);
      bool first = integers.empty() && numbers.empty() && strings.empty();
      if (std::holds_alternative<bool>(one) || (!first && text == strings.empty())) return error("an array of mixed types");
      if (text) {
        strings.push_back(std::move(std::get<std::string>(one)));
      } else if (std::holds_alternative<int64_t>(one) && numbers.empty()) {
        integers.push_back(std::get<int64_t>(one));
      } else {
        numbers.insert(numbers.end(), integers.begin(), integers.end());
        integers.clear();
        numbers.push_back(std::holds_alternative<double>(one) ? std::get<double>(one) : double(std::get<int64_t>(one)));
      }
      skip_lines();
      if (peek() == ',') {
        ++at_;
      } else if (peek() != ']') {
        return error("expected ',' or ']' in an array");
      }
    }
    ++at_;
    if (!strings.empty()) {
      value.data = std::move(strings);
    } else if (!numbers.empty()) {
      value.data = std::move(numbers);
    } else {
      value.data = std::move(integers);
    }
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

std::string TomlTable::where(const std::string& key) const {
  return name_.empty() ? fmt::format("'{}'", key) : fmt::format("'{}' of [{}] (line {})", key, name_, line_);
}

Status TomlTable::insert(const std::string& key, TomlValue value) {
  int line = value.line;
  if (!values_.emplace(key, std::move(value)).second) return invalid("line {}: key '{}' stands twice", line, key);
  return {};
}

template <class T>
Result<T> TomlTable::take(const std::string& key, std::string_view type) {
  auto it = values_.find(key);
  if (it == values_.end()) return invalid("{} is missing", where(key));
  T* v = std::get_if<T>(&it->second.data);
  if (!v) return invalid("{} must be {}", where(key), type);
  T out = std::move(*v);
  values_.erase(it);
  return out;
}

Result<int64_t> TomlTable::integer(const std::string& key, int64_t low, int64_t high) {
  ZT_ASSIGN_OR_RETURN(int64_t v, take<int64_t>(key, "a whole number"));
  if (v < low || v > high) return invalid("{} is {}, allowed are {}..{}", where(key), v, low, high);
  return v;
}

Result<double> TomlTable::number(const std::string& key) {
  auto it = values_.find(key);
  if (it != values_.end() && std::holds_alternative<int64_t>(it->second.data)) {
    ZT_ASSIGN_OR_RETURN(int64_t v, take<int64_t>(key, "a number"));
    return double(v);
  }
  return take<double>(key, "a number");
}

Result<bool> TomlTable::boolean(const std::string& key) { return take<bool>(key, "true or false"); }
Result<std::string> TomlTable::text(const std::string& key) { return take<std::string>(key, "a string"); }

Result<std::vector<int64_t>> TomlTable::integers(const std::string& key, int64_t low, int64_t high) {
  ZT_ASSIGN_OR_RETURN(auto v, take<std::vector<int64_t>>(key, "a list of whole numbers"));
  for (int64_t x : v) {
    if (x < low || x > high) return invalid("{} holds {}, allowed are {}..{}", where(key), x, low, high);
  }
  return v;
}

Result<std::vector<double>> TomlTable::numbers(const std::string& key) {
  auto it = values_.find(key);
  if (it != values_.end() && std::holds_alternative<std::vector<int64_t>>(it->second.data)) {
    ZT_ASSIGN_OR_RETURN(auto v, take<std::vector<int64_t>>(key, "a list of numbers"));
    return std::vector<double>(v.begin(), v.end());
  }
  return take<std::vector<double>>(key, "a list of numbers");
}

Result<std::vector<std::string>> TomlTable::texts(const std::string& key) {
  auto it = values_.find(key);
  if (it != values_.end() && std::holds_alternative<std::vector<int64_t>>(it->second.data) &&
      std::get<std::vector<int64_t>>(it->second.data).empty()) {
    values_.erase(it);
    return std::vector<std::string>();
  }
  return take<std::vector<std::string>>(key, "a list of strings");
}

Status TomlTable::finish() const {
  if (values_.empty()) return {};
  return invalid("unknown key {}", where(values_.begin()->first));
}

TomlTable* TomlDocument::find(std::string_view name) {
  for (auto& t : tables) {
    if (t.name() == name) return &t;
  }
  return nullptr;
}

Result<TomlDocument> parse_toml(std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) return invalid("{} bytes of text, allowed are {}", text.size(), max_bytes);
  if (text.find('\0') != std::string_view::npos) return invalid("not a text file");
  return Parser(text).run();
}

}  // namespace zt
