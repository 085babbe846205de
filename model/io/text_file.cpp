#include "model/io/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <vector>

#include "model/io/utf8.h"

namespace zt {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

// Builds the tree through nlohmann's own builder and refuses what the builder would let pass.
class StrictBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  StrictBuilder(nlohmann::json& root, const JsonLimits& limits) : builder_(root, false), limits_(limits) {}
  const std::string& problem() const { return problem_; }

  bool null() override { return count() && builder_.null(); }
  bool boolean(bool v) override { return count() && builder_.boolean(v); }
  bool number_integer(number_integer_t v) override { return count() && builder_.number_integer(v); }
  bool number_unsigned(number_unsigned_t v) override { return count() && builder_.number_unsigned(v); }
  bool number_float(number_float_t v, const string_t& s) override { return count() && builder_.number_float(v, s); }
  bool string(string_t& v) override { return count() && builder_.string(v); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool start_object(std::size_t n) override {
    if (!enter()) return false;
    keys_.emplace_back();
    return builder_.start_object(n);
  }
  bool key(string_t& v) override {
    if (++key_count_ > limits_.keys) return refuse(fmt::format("more than {} keys", limits_.keys));
    if (!keys_.back().insert(v).second) return refuse(fmt::format("duplicate key '{}'", quotable(v)));
    return builder_.key(v);
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return builder_.end_object();
  }
  bool start_array(std::size_t n) override { return enter() && builder_.start_array(n); }
  bool end_array() override {
    --depth_;
    return builder_.end_array();
  }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception& e) override {
    if (dynamic_cast<const nlohmann::json::out_of_range*>(&e))
      return refuse(fmt::format("a number out of range near byte {}", at));
    return refuse(fmt::format("not valid JSON near byte {}", at));
  }

 private:
  bool refuse(std::string why) {
    if (problem_.empty()) problem_ = std::move(why);
    return false;
  }
  bool count() { return ++values_ <= limits_.values || refuse(fmt::format("more than {} values", limits_.values)); }
  bool enter() {
    if (!count()) return false;
    return ++depth_ <= limits_.depth || refuse(fmt::format("nested deeper than {}", limits_.depth));
  }

  nlohmann::detail::json_sax_dom_parser<nlohmann::json> builder_;
  JsonLimits limits_;
  std::string problem_;
  std::vector<std::set<std::string>> keys_;
  size_t values_ = 0, key_count_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string quotable(std::string_view s) {
  std::string out;
  for (char c : s) {
    if (out.size() >= 100) return out + "...";
    bool plain = uint8_t(c) >= 0x20 && uint8_t(c) != 0x7f;
    out += plain ? std::string(1, c) : fmt::format("\\x{:02x}", uint8_t(c));
  }
  return out;
}

Result<std::string> read_small_file(const std::string& path, size_t max_bytes) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return bad_model("{}: cannot be opened: {}", path, reason(errno));
  struct stat st {};
  Status status;
  std::string text;
  if (fstat(fd, &st) != 0) {
    status = bad_model("{}: {}", path, reason(errno));
  } else if (!S_ISREG(st.st_mode)) {
    status = bad_model("{}: not a regular file", path);
  } else if (size_t(st.st_size) > max_bytes) {
    status = bad_model("{}: {} bytes, more than the {} allowed for such a file", path, st.st_size, max_bytes);
  } else {
    text.resize(size_t(st.st_size));
    size_t have = 0;
    while (status.ok() && have < text.size()) {
      ssize_t n = read(fd, text.data() + have, text.size() - have);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        status = bad_model("{}: read failed: {}", path, n < 0 ? reason(errno) : "the file became shorter");
      else
        have += size_t(n);
    }
  }
  close(fd);
  if (!status.ok()) return status;
  return text;
}

Result<nlohmann::json> parse_json(const std::string& name, std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) return bad_model("{}: more than {} bytes of JSON", name, limits.bytes);
  size_t bad = first_invalid_utf8(text);
  if (bad != std::string_view::npos) return bad_model("{}: byte {} is not valid UTF-8", name, bad);
  nlohmann::json root;
  StrictBuilder builder(root, limits);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return bad_model("{}: {}", name, builder.problem().empty() ? "not valid JSON" : builder.problem());
  }
  return root;
}

Result<nlohmann::json> read_json_file(const std::string& path, const JsonLimits& limits) {
  ZT_ASSIGN_OR_RETURN(std::string text, read_small_file(path, limits.bytes));
  return parse_json(path, text, limits);
}

}  // namespace zt
