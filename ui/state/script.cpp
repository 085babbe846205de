#include "ui/state/script.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "app/session/job_fields.h"
#include "app/session/text.h"
#include "ui/state/buttons.h"

namespace zt::ui {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string_view first_word(std::string_view& rest) {
  size_t end = rest.find_first_of(" \t");
  std::string_view word = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : trimmed(rest.substr(end));
  return word;
}

std::string_view unquoted(std::string_view text) {
  bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.front() == text.back();
  return quoted ? text.substr(1, text.size() - 2) : text;
}

Problem unknown(std::string_view what, std::string_view name, const std::vector<std::string>& known) {
  std::string nearest = closest_name(name, known);
  return "there is no " + std::string(what) + " `" + std::string(name.substr(0, 40)) + "`" +
         (nearest.empty() ? "" : "; did you mean `" + nearest + "`?");
}

Problem parse_set(std::string_view rest, ScriptLine& line) {
  // As a flag is written, too: cfg-scale.
  std::string name(first_word(rest));
  std::replace(name.begin(), name.end(), '-', '_');
  const Field* field = find_field(name);
  if (!field) return unknown("field", name, field_names());
  JobSpec scratch;
  std::string value(unquoted(rest));
  line.action = SetField{name, value};
  return zt::set_field(scratch, *field, std::string_view(value));
}

Problem parse_open(std::string_view word, ScriptLine& line) {
  std::string name(word);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char ch) { return char(std::tolower(ch)); });
  struct Named {
    std::string_view name;
    Action action;
  };
  const Named kPanels[] = {{"create", OpenPanel{Panel::create}},
                           {"viewer", OpenPanel{Panel::viewer}},
                           {"queue", OpenPanel{Panel::queue}},
                           {"gallery", OpenPanel{Panel::queue}},
                           {"attention", OpenPanel{Panel::attention}},
                           {"inspector", OpenPanel{Panel::attention}},
                           {"keys", Press{"keys"}}};
  std::vector<std::string> known;
  for (const Named& n : kPanels) {
    if (n.name == name) return line.action = n.action, Problem();
    known.emplace_back(n.name);
  }
  return unknown("panel", name, known);
}

Problem parse_wait(std::string_view rest, ScriptLine& line) {
  if (rest == "done") return line.verb = ScriptLine::Verb::wait_done, Problem();
  line.verb = ScriptLine::Verb::wait;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), line.seconds);
  bool good = error == std::errc() && end == rest.data() + rest.size() && std::isfinite(line.seconds) && line.seconds >= 0;
  return good ? Problem() : "wait takes `done` or a number of seconds";
}

Problem parse_line(std::string_view rest, ScriptLine& line) {
  std::string_view verb = first_word(rest);
  if (verb == "set") return parse_set(rest, line);
  if (verb == "wait") return parse_wait(rest, line);
  if (verb == "open") return parse_open(rest, line);
  if (verb == "press") {
    std::vector<std::string> known;
    for (const Button& b : buttons()) known.emplace_back(b.name);
    if (!find_button(rest)) return unknown("button", rest, known);
    line.action = Press{std::string(rest)};
    return {};
  }
  if (verb == "screenshot") {
    line.verb = ScriptLine::Verb::screenshot, line.file = unquoted(rest);
    return line.file.empty() ? "screenshot takes a file name" : "";
  }
  if (verb == "quit") {
    line.verb = ScriptLine::Verb::quit;
    return rest.empty() ? "" : "quit takes nothing";
  }
  return unknown("verb", verb, {"set", "press", "wait", "open", "screenshot", "quit"});
}

}  // namespace

Problem parse_script(std::string_view text, std::vector<ScriptLine>& lines) {
  for (int number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view rest = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (rest.empty() || rest.front() == '#') continue;
    ScriptLine line;
    line.number = number;
    if (Problem p = parse_line(rest, line); !p.empty()) return "line " + std::to_string(number) + ": " + p;
    lines.push_back(std::move(line));
  }
  return {};
}

}  // namespace zt::ui
