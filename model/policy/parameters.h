// The values of one SPEC, checked against a method's parameter table.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "kernels/plan/plan_window.h"
#include "model/policy/policy.h"

namespace zt {

class Parameters {
 public:
  // `text` is what follows the name: key=value,key=value. Every key of the table gets a value.
  static Result<Parameters> parse(const PolicyInfo& info, std::string_view text);

  // Types must be those of the table (a wrong one is a bug).
  double fraction(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  Thw thw(const std::string& name) const;
  const std::string& choice(const std::string& name) const;
  bool boolean(const std::string& name) const;
  bool given(const std::string& name) const;  // it stands in the SPEC

  const std::string& spec() const { return spec_; }  // "radial:decay=0.2", for messages

 private:
  struct Value {
    std::string text;
    double number = 0;
    Thw thw;
    bool given = false;
  };
  static Status read(const PolicyParameter& p, std::string text, Value& out);
  const Value& at(const std::string& name) const;
  std::map<std::string, Value> values_;
  std::string spec_;
};

// Rows of a method's table.
PolicyParameter keep_parameter(std::string fallback, std::string help);
PolicyParameter fraction_parameter(std::string name, std::string fallback, std::string help);
PolicyParameter choice_parameter(std::string name, std::vector<std::string> choices, std::string fallback, std::string unit,
                                 std::string help);
PolicyParameter block_parameter(std::string name, std::string fallback, std::string help);  // 64 | 128 tokens
PolicyParameter boolean_parameter(std::string name, std::string fallback, std::string help);
int block_value(const Parameters& p, const std::string& name);

// The name with the fewest edits to `word`, for "did you mean"; empty for no names.
std::string nearest_name(std::string_view word, const std::vector<std::string>& names);

}  // namespace zt
