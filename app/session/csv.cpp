#include "app/session/csv.h"

#include <fmt/format.h>

namespace zt {

Problem read_csv(std::string_view text, std::vector<CsvRow>& rows) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // spreadsheets mark UTF-8 this way
  CsvRow row;
  std::string cell;
  size_t line = 1;
  bool quoted = false, closed = false;  // inside quotes; behind the closing one
  auto end_row = [&] {
    row.cells.push_back(std::move(cell));
    bool blank = row.cells.size() == 1 && row.cells[0].empty() && !closed;
    if (!blank) rows.push_back(std::move(row));
    row = CsvRow(), cell.clear(), closed = false;
  };
  row.line = line;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += text[++i];
      } else {
        quoted = false, closed = true;
      }
    } else if (c == '"') {
      if (!cell.empty() || closed) return fmt::format("line {}: a quote inside a cell; quote the whole cell and double it", line);
      quoted = true;
    } else if (c == ',') {
      row.cells.push_back(std::move(cell));
      cell.clear(), closed = false;
    } else if (c == '\n') {
      end_row();
      row.line = line;
    } else if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      continue;
    } else if (closed) {
      return fmt::format("line {}: text behind a closing quote", line);
    } else {
      cell += c;
    }
  }
  if (quoted) return fmt::format("line {}: a quote that does not close", row.line);
  if (!cell.empty() || !row.cells.empty() || closed) end_row();
  return {};
}

}  // namespace zt
