// Typed, range-checked access to one JSON config. The first problem is kept; later reads return defaults.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

class ConfigReader {
 public:
  ConfigReader(std::string file, nlohmann::json json);
  static Result<ConfigReader> open(const std::string& file);

  const Status& status() const { return status_; }
  const std::string& file() const { return file_; }
  // Set and not null.
  bool has(std::string_view key) const { return find(key) != nullptr; }
  void refuse(std::string_view key, std::string_view why);
  // Refuses a key that is none of these.
  void only(std::initializer_list<std::string_view> known);

  // Absent keys give the default; null, wrong types and values outside [low, high] are refused.
  int64_t integer(std::string_view key, int64_t fallback, int64_t low, int64_t high);
  double real(std::string_view key, double fallback, double low, double high);
  bool boolean(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  std::vector<int64_t> integers(std::string_view key, std::vector<int64_t> fallback, size_t max_count, int64_t low, int64_t high);
  std::vector<bool> booleans(std::string_view key, std::vector<bool> fallback, size_t max_count);
  std::vector<double> doubles(std::string_view key, std::vector<double> fallback, size_t max_count);
  std::vector<float> reals(std::string_view key, std::vector<float> fallback, size_t max_count);

  // Features that are not implemented: refused unless absent, null, false, zero, or empty.
  void must_be_unset(std::string_view key, std::string_view what);
  // Refused unless absent or one of the listed values.
  std::string one_of(std::string_view key, std::string_view fallback, std::initializer_list<std::string_view> known);

  const nlohmann::json* find(std::string_view key) const;

 private:
  const nlohmann::json* array(std::string_view key, size_t max_count);
  template <class T>
  std::vector<T> finite(std::string_view key, std::vector<T> fallback, size_t max_count);
  bool present(std::string_view key) const { return json_.contains(key); }

  std::string file_;
  nlohmann::json json_;
  Status status_;
};

}  // namespace zt
