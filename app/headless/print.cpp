#include "app/headless/print.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/engine/job_check.h"

namespace zt {
namespace {

// Messages may quote user text: control characters, which could drive a terminal, are shown as ?.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (uint8_t(c) < 0x20 || c == 0x7f) c = c == '\n' || c == '\t' ? ' ' : '?';
  }
  return out;
}

}  // namespace

void print_result(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_json(const nlohmann::ordered_json& json) {
  print_result(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void print_note(std::string_view line) {
  std::string text = printable(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void print_error(std::string_view line) { print_note("zoetrope: error: " + std::string(line)); }

int print_status(const Status& status) {
  if (!status.ok()) print_error(status.message());
  return int(exit_code(status.code()));
}

std::string figures_text(const nlohmann::ordered_json& figures) {
  std::string text;
  for (const auto& [key, value] : figures.items())
    text += fmt::format("{:20} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

}  // namespace zt
