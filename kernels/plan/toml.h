// Reader for the part of TOML that plan files use: comments, bare keys, [table], [[array of tables]], strings,
// booleans, decimal integers and floats, and flat arrays of one of these. Anything else is refused by line number.
// The text may come from anywhere: sizes are capped by the caller, and nothing is trusted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

struct TomlValue {
  std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>> data;
  int line = 0;
};

// A table hands out each key once; finish() then refuses what nobody asked for.
class TomlTable {
 public:
  TomlTable() = default;
  TomlTable(std::string name, int line) : name_(std::move(name)), line_(line) {}
  const std::string& name() const { return name_; }
  int line() const { return line_; }
  bool has(const std::string& key) const { return values_.contains(key); }
  Status insert(const std::string& key, TomlValue value);

  Result<int64_t> integer(const std::string& key, int64_t low, int64_t high);
  Result<double> number(const std::string& key);
  Result<bool> boolean(const std::string& key);
  Result<std::string> text(const std::string& key);
  Result<std::vector<int64_t>> integers(const std::string& key, int64_t low, int64_t high);
  Result<std::vector<double>> numbers(const std::string& key);
  Result<std::vector<std::string>> texts(const std::string& key);
  // kInvalid when a key is left that was not taken.
  Status finish() const;

 private:
  template <class T>
  Result<T> take(const std::string& key, std::string_view type);
  std::string where(const std::string& key) const;
  std::string name_;
  int line_ = 1;
  std::map<std::string, TomlValue> values_;
};

struct TomlDocument {
  TomlTable root;
  std::vector<TomlTable> tables;  // [name] and [[name]] in the order of the text
  // The [name] table, or null.
  TomlTable* find(std::string_view name);
};

Result<TomlDocument> parse_toml(std::string_view text, size_t max_bytes);

}  // namespace zt
