#include "model/config/config_reader.h"

#include <algorithm>
#include <cmath>

#include "model/io/text_file.h"

namespace zt {
namespace {

// Python writes infinite and undefined numbers as bare words, which JSON does not have: diffusers' DPM-Solver config says
// "lambda_min_clipped": -Infinity. They become null, so that a key which needs a number still refuses them.
std::string without_bare_words(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (size_t i = 0; i < text.size();) {
    size_t length = 0;
    for (std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (!quoted && length == 0 && text.substr(i, word.size()) == word) length = word.size();
    }
    if (length) {
      out += "null";
      i += length;
      continue;
    }
    if (quoted && text[i] == '\\' && i + 1 < text.size())
      out += text[i++];
    else if (text[i] == '"')
      quoted = !quoted;
    out += text[i++];
  }
  return out;
}

}  // namespace

ConfigReader::ConfigReader(std::string file, nlohmann::json json) : file_(std::move(file)), json_(std::move(json)) {
  if (!json_.is_object()) {
    status_ = bad_model("{}: not a JSON object", file_);
    json_ = nlohmann::json::object();
  }
}

Result<ConfigReader> ConfigReader::open(const std::string& file) {
  JsonLimits limits;
  ZT_ASSIGN_OR_RETURN(std::string text, read_small_file(file, limits.bytes));
  ZT_ASSIGN_OR_RETURN(nlohmann::json j, parse_json(file, without_bare_words(text), limits));
  ConfigReader r(file, std::move(j));
  if (!r.status().ok()) return r.status();
  return r;
}

const nlohmann::json* ConfigReader::find(std::string_view key) const {
  auto it = json_.find(key);
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}

void ConfigReader::refuse(std::string_view key, std::string_view why) {
  if (status_.ok()) status_ = bad_model("{}: {} {}", file_, key, why);
}

void ConfigReader::only(std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : json_.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return refuse(quotable(key), fmt::format("is no key here; known are {}", fmt::join(known, ", ")));
  }
}

int64_t ConfigReader::integer(std::string_view key, int64_t fallback, int64_t low, int64_t high) {
  if (!present(key)) return fallback;
  const nlohmann::json* v = find(key);
  if (!v || !v->is_number_integer()) {
    refuse(key, "is not an integer");
    return fallback;
  }
  // Unsigned values above the signed range would wrap in a conversion.
  bool huge = v->is_number_unsigned() && v->get<uint64_t>() > uint64_t(high);
  int64_t n = huge ? 0 : v->get<int64_t>();
  if (huge || n < low || n > high) {
    refuse(key, fmt::format("is {}, allowed are {} to {}", v->dump(), low, high));
    return fallback;
  }
  return n;
}

double ConfigReader::real(std::string_view key, double fallback, double low, double high) {
  if (!present(key)) return fallback;
  const nlohmann::json* v = find(key);
  if (!v || !v->is_number()) {
    refuse(key, "is not a number");
    return fallback;
  }
  double x = v->get<double>();
  if (!(x >= low && x <= high)) {
    refuse(key, fmt::format("is {}, allowed are {} to {}", x, low, high));
    return fallback;
  }
  return x;
}

bool ConfigReader::boolean(std::string_view key, bool fallback) {
  if (!present(key)) return fallback;
  const nlohmann::json* v = find(key);
  if (v && v->is_boolean()) return v->get<bool>();
  refuse(key, "is not true or false");
  return fallback;
}

std::string ConfigReader::text(std::string_view key, std::string_view fallback) {
  if (!present(key)) return std::string(fallback);
  const nlohmann::json* v = find(key);
  if (v && v->is_string()) return v->get<std::string>();
  refuse(key, "is not a string");
  return std::string(fallback);
}

const nlohmann::json* ConfigReader::array(std::string_view key, size_t max_count) {
  const nlohmann::json* v = find(key);
  if (v && v->is_array() && v->size() <= max_count) return v;
  refuse(key, v && v->is_array() ? fmt::format("has {} entries, more than {}", v->size(), max_count) : "is not a list");
  return nullptr;
}

std::vector<int64_t> ConfigReader::integers(std::string_view key, std::vector<int64_t> fallback, size_t max_count, int64_t low,
                                            int64_t high) {
  if (!present(key)) return fallback;
  const nlohmann::json* v = array(key, max_count);
  if (!v) return fallback;
  std::vector<int64_t> out;
  for (const nlohmann::json& e : *v) {
    bool fits = e.is_number_integer() && !(e.is_number_unsigned() && e.get<uint64_t>() > uint64_t(high)) &&
                e.get<int64_t>() >= low && e.get<int64_t>() <= high;
    if (!fits) {
      refuse(key, fmt::format("has an entry that is not an integer from {} to {}", low, high));
      return fallback;
    }
    out.push_back(e.get<int64_t>());
  }
  return out;
}

std::vector<bool> ConfigReader::booleans(std::string_view key, std::vector<bool> fallback, size_t max_count) {
  if (!present(key)) return fallback;
  const nlohmann::json* v = array(key, max_count);
  if (!v) return fallback;
  std::vector<bool> out;
  for (const nlohmann::json& e : *v) {
    if (!e.is_boolean()) {
      refuse(key, "has an entry that is not true or false");
      return fallback;
    }
    out.push_back(e.get<bool>());
  }
  return out;
}

template <class T>
std::vector<T> ConfigReader::finite(std::string_view key, std::vector<T> fallback, size_t max_count) {
  if (!present(key)) return fallback;
  const nlohmann::json* v = array(key, max_count);
  if (!v) return fallback;
  std::vector<T> out;
  for (const nlohmann::json& e : *v) {
    if (!e.is_number() || !std::isfinite(e.get<T>())) {
      refuse(key, "has an entry that is not a finite number");
      return fallback;
    }
    out.push_back(e.get<T>());
  }
  return out;
}

std::vector<float> ConfigReader::reals(std::string_view key, std::vector<float> fallback, size_t max_count) {
  return finite(key, std::move(fallback), max_count);
}

std::vector<double> ConfigReader::doubles(std::string_view key, std::vector<double> fallback, size_t max_count) {
  return finite(key, std::move(fallback), max_count);
}

void ConfigReader::must_be_unset(std::string_view key, std::string_view what) {
  const nlohmann::json* v = find(key);
  if (!v || (v->is_boolean() && !v->get<bool>()) || (v->is_number() && *v == 0) || (v->is_structured() && v->empty())) return;
  // [null, null] is how a pipeline writes a part it does not have.
  if (v->is_array() && v->size() == 2 && (*v)[0].is_null() && (*v)[1].is_null()) return;
  refuse(key, fmt::format("is set: {}", what));
}

std::string ConfigReader::one_of(std::string_view key, std::string_view fallback, std::initializer_list<std::string_view> known) {
  std::string value = text(key, fallback), list;
  for (std::string_view k : known) {
    if (value == k) return value;
    list += (list.empty() ? "" : ", ") + std::string(k);
  }
  refuse(key, fmt::format("is '{}', supported: {}", quotable(value), list));
  return value;
}

}  // namespace zt
