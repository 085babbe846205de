// Comma-separated values as RFC 4180 has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

struct CsvRow {
  size_t line = 1;  // where it starts
  std::vector<std::string> cells;
};

// Rows of a text; empty lines are left out. Quotes that do not close or stand inside a bare cell are problems.
[[nodiscard]] Problem read_csv(std::string_view text, std::vector<CsvRow>& rows);

}  // namespace zt
