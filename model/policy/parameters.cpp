#include "model/policy/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace zt {
namespace {

constexpr size_t kMaxSpec = 4096;

// Levenshtein distance.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = up;
    }
  }
  return row.back();
}

template <class T>
bool read_number(std::string_view s, T& out) {
  auto r = std::from_chars(s.data(), s.data() + s.size(), out);
  return r.ec == std::errc() && r.ptr == s.data() + s.size();
}

bool read_thw(std::string_view s, Thw& out) {
  size_t a = s.find('x'), b = a == s.npos ? a : s.find('x', a + 1);
  return b != s.npos && read_number(s.substr(0, a), out.t) && read_number(s.substr(a + 1, b - a - 1), out.h) &&
         read_number(s.substr(b + 1), out.w);
}

bool read_boolean(std::string_view s, double& out) {
  for (std::string_view yes : {"1", "true", "yes", "on"}) {
    if (s == yes) return out = 1, true;
  }
  for (std::string_view no : {"0", "false", "no", "off"}) {
    if (s == no) return out = 0, true;
  }
  return false;
}

}  // namespace

std::string nearest_name(std::string_view word, const std::vector<std::string>& names) {
  std::string best, lower(word);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  word = lower;  // names are in lower case
  for (const auto& n : names) {
    if (best.empty() || distance(word, n) < distance(word, best)) best = n;
  }
  return best;
}

std::string_view parameter_type_name(ParameterType type) {
  constexpr std::string_view names[] = {"fraction", "integer", "thw", "choice", "boolean"};
  return names[size_t(type)];
}

std::string PolicyParameter::range() const {
  switch (type) {
    case ParameterType::fraction: return fmt::format("a number in {}..{}", low, high);
    case ParameterType::integer: return fmt::format("a whole number in {}..{}", int64_t(low), int64_t(high));
    case ParameterType::thw: return fmt::format("TxHxW, each {}..{}", int64_t(low), int64_t(high));
    case ParameterType::choice: return fmt::format("{}", fmt::join(choices, " | "));
    case ParameterType::boolean: return "1 | 0";
  }
  return {};
}

Status Parameters::read(const PolicyParameter& p, std::string text, Value& out) {
  auto inside = [&](double v) { return std::isfinite(v) && v >= p.low && v <= p.high; };
  bool ok = false;
  switch (p.type) {
    case ParameterType::fraction: ok = read_number(text, out.number) && inside(out.number); break;
    case ParameterType::integer: {
      int64_t v = 0;
      ok = read_number(text, v) && inside(double(v));
      out.number = double(v);
      break;
    }
    case ParameterType::thw:
      ok = read_thw(text, out.thw) && inside(double(out.thw.t)) && inside(double(out.thw.h)) && inside(double(out.thw.w));
      break;
    case ParameterType::choice:
      for (const auto& [alias, name] : p.aliases) {
        if (text == alias) text = name;
      }
      ok = std::find(p.choices.begin(), p.choices.end(), text) != p.choices.end();
      break;
    case ParameterType::boolean: ok = read_boolean(text, out.number); break;
  }
  if (!ok) return invalid("'{}' is '{}', it must be {} (default {})", p.name, text.substr(0, 40), p.range(), p.fallback);
  out.text = std::move(text);
  return {};
}

Result<Parameters> Parameters::parse(const PolicyInfo& info, std::string_view text) {
  Parameters out;
  out.spec_ = info.name + (text.empty() ? "" : ":") + std::string(text.substr(0, 200));
  std::string where = "--attn " + out.spec_;
  if (text.size() > kMaxSpec) return invalid("{}...: longer than {} characters", where, kMaxSpec);
  std::vector<std::string> names;
  for (const auto& p : info.parameters) {
    names.push_back(p.name);
    if (Status s = read(p, p.fallback, out.values_[p.name]); !s.ok()) throw Bug("default of " + info.name + ": " + s.message());
  }
  for (bool more = !text.empty(); more;) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    more = comma != text.npos;
    text = more ? text.substr(comma + 1) : std::string_view();
    size_t equals = item.find('=');
    std::string key(item.substr(0, equals));
    auto p = std::find_if(info.parameters.begin(), info.parameters.end(), [&](const auto& x) {
      return x.name == key || (!key.empty() && x.other_name == key);
    });
    if (p == info.parameters.end()) {
      const std::string near = nearest_name(key, names);
      auto known = std::find_if(info.parameters.begin(), info.parameters.end(), [&](const auto& x) { return x.name == near; });
      return invalid("{}: {} has no parameter '{}'; the nearest known one is '{}' ({})", where, info.name, key.substr(0, 40),
                     near, known->range());
    }
    if (equals == item.npos) return invalid("{}: '{}' needs a value: {}={}", where, key, key, p->range());
    Value& v = out.values_[p->name];
    if (v.given) return invalid("{}: '{}' stands twice", where, p->name);
    if (Status s = read(*p, std::string(item.substr(equals + 1)), v); !s.ok()) return s.in(where);
    v.given = true;
  }
  return out;
}

const Parameters::Value& Parameters::at(const std::string& name) const {
  auto it = values_.find(name);
  ZT_CHECK(it != values_.end());
  return it->second;
}

double Parameters::fraction(const std::string& name) const { return at(name).number; }
int64_t Parameters::integer(const std::string& name) const { return int64_t(at(name).number); }
Thw Parameters::thw(const std::string& name) const { return at(name).thw; }
const std::string& Parameters::choice(const std::string& name) const { return at(name).text; }
bool Parameters::boolean(const std::string& name) const { return at(name).number != 0; }
bool Parameters::given(const std::string& name) const { return at(name).given; }

PolicyParameter fraction_parameter(std::string name, std::string fallback, std::string help) {
  PolicyParameter p;
  p.name = std::move(name), p.fallback = std::move(fallback), p.help = std::move(help);
  return p;
}

PolicyParameter keep_parameter(std::string fallback, std::string help) {
  return fraction_parameter("keep", std::move(fallback), std::move(help));
}

PolicyParameter choice_parameter(std::string name, std::vector<std::string> choices, std::string fallback, std::string unit,
                                 std::string help) {
  PolicyParameter p = fraction_parameter(std::move(name), std::move(fallback), std::move(help));
  p.type = ParameterType::choice, p.choices = std::move(choices), p.unit = std::move(unit);
  return p;
}

PolicyParameter block_parameter(std::string name, std::string fallback, std::string help) {
  return choice_parameter(std::move(name), {"64", "128"}, std::move(fallback), "tokens", std::move(help));
}

PolicyParameter boolean_parameter(std::string name, std::string fallback, std::string help) {
  PolicyParameter p = fraction_parameter(std::move(name), std::move(fallback), std::move(help));
  p.type = ParameterType::boolean;
  return p;
}

int block_value(const Parameters& p, const std::string& name) { return p.choice(name) == "64" ? 64 : 128; }

}  // namespace zt
