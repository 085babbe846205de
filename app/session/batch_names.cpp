// Output names of a batch: templates, and what a name may be.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/session/batch_file.h"
#include "app/session/job_fields.h"
#include "app/session/job_text.h"
#include "app/session/sha256.h"
#include "app/session/text.h"

namespace zt {
namespace {

constexpr size_t kMaxName = 200;  // a file system allows 255 bytes; hidden names beside it are longer

// Letters, digits and bytes of UTF-8 sequences stay, runs of the rest become one -.
std::string slug(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = uint8_t(c) >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                 c == '.' || c == '+';
    if (plain) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && (out.back() == '-' || out.back() == '.')) out.pop_back();
  while (!out.empty() && out.front() == '.') out.erase(0, 1);
  return out;
}

// The first `n` characters, not bytes, of valid UTF-8.
std::string_view first_characters(std::string_view text, size_t n) {
  size_t i = 0;
  for (; i < text.size(); ++i) {
    bool starts = (uint8_t(text[i]) & 0xc0) != 0x80;
    if (starts && n-- == 0) break;
  }
  return text.substr(0, i);
}

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? fmt::format("{}", value.get<double>()) : value.dump();
}

Problem expand_one(std::string_view inside, const JobSpec& spec, size_t index, std::string& out) {
  size_t colon = inside.find(':');
  std::string name(inside.substr(0, colon));
  size_t width = 0;
  if (colon != std::string_view::npos) {
    std::string_view digits = inside.substr(colon + 1);
    bool number = !digits.empty() && digits.size() <= 3 && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    for (char c : digits) width = width * 10 + size_t(c - '0');
    if (!number || width == 0) return fmt::format("{{{}}}: behind the colon a length of 1..999 is wanted", quotable_text(inside));
  }
  if (name == "index") {
    out += fmt::format("{:0{}}", index, width ? std::min<size_t>(width, 20) : 4);
    return {};
  }
  const Field* field = find_field(name);
  if (!field) {
    std::vector<std::string> known = field_names();
    known.push_back("index");
    std::string nearest = closest_name(name, known);
    return fmt::format("{{{}}} is no field{}", quotable_text(name), nearest.empty() ? "" : "; did you mean {" + nearest + "}?");
  }
  std::string text = text_of(field_value(spec, *field));
  out += slug(width ? first_characters(text, width) : std::string_view(text));
  return {};
}

// A name that stays below its folder and means the same to every program that will ever see it.
Problem check_name(const std::string& name) {
  auto shown = [&] { return json_quoted(quotable_text(name, 60)); };
  if (invalid_utf8_at(name)) return "not valid UTF-8";
  if (name.empty()) return "empty";
  if (name.starts_with('/')) return shown() + " is absolute; names are relative to --output-dir";
  if (name.starts_with('~') || name.starts_with('-')) return shown() + " starts with " + name.substr(0, 1);
  for (char c : name) {
    if (uint8_t(c) < 0x20 || c == 0x7f) return shown() + " has a control character";
    if (std::string_view("\\\"'`$;|&<>*?").find(c) != std::string_view::npos) return shown() + fmt::format(" has a {}", c);
  }
  for (size_t at = 0; at < name.size();) {
    size_t slash = std::min(name.find('/', at), name.size());
    std::string_view part = std::string_view(name).substr(at, slash - at);
    if (part == "..") return shown() + " leaves the folder through ..";
    if (part.empty() || part.starts_with('.')) return shown() + " has a part that is empty or hidden";
    if (part.size() > kMaxName) return shown() + fmt::format(" has a part longer than {} bytes", kMaxName);
    at = slash + 1;
  }
  return {};
}

std::string without_extension(std::string name) {
  while (name.ends_with('/')) name.pop_back();
  size_t slash = name.rfind('/') + 1, dot = name.rfind('.');
  return dot == std::string::npos || dot <= slash ? name : name.substr(0, dot);
}

}  // namespace

Problem expand_template(std::string_view pattern, const JobSpec& spec, size_t index, std::string& name) {
  name.clear();
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if ((c == '{' || c == '}') && i + 1 < pattern.size() && pattern[i + 1] == c) {
      name += c, ++i;
    } else if (c == '}') {
      return "a } without its {; write }} for the character";
    } else if (c != '{') {
      name += c;
    } else {
      size_t end = pattern.find('}', i);
      if (end == std::string_view::npos) return "a { that does not close; write {{ for the character";
      if (Problem p = expand_one(pattern.substr(i + 1, end - i - 1), spec, index, name); !p.empty()) return p;
      i = end;
    }
  }
  return {};
}

Problem settle_batch(std::span<BatchJob> jobs, const std::string& folder) {
  std::map<std::string, const BatchJob*> taken;
  for (size_t i = 0; i < jobs.size(); ++i) {
    BatchJob& job = jobs[i];
    JobSpec& s = job.spec;
    if (s.seed < 0) {
      std::string hash = sha256_hex(settings_hash(s) + std::to_string(i));
      constexpr size_t kDigits = 13;  // 52 bits: exact in every JSON reader
      s.seed = std::stoll(hash.substr(0, kDigits), nullptr, 16);
    }
    if (s.output.empty()) s.output = "{index}.mp4";
    const JobSpec before = s;  // one template must not see what became of another
    std::set<std::string> own;
    for (std::string JobSpec::*member : kOutputNames) {
      std::string& name = s.*member;
      if (name.empty()) continue;
      std::string field = member == &JobSpec::output         ? "output"
                          : member == &JobSpec::save_latents ? "save_latents"
                          : member == &JobSpec::save_frames  ? "save_frames"
                                                             : "report";
      std::string expanded;
      Problem p = expand_template(name, before, i + 1, expanded);
      if (p.empty()) p = check_name(expanded);
      if (!p.empty()) return fmt::format("{}: {}: {}", job.place, field, p);
      // Side file, checkpoint and claim of an output are told from others' by its stem.
      std::vector<std::string> names = {expanded};
      if (field == "output") names = {without_extension(expanded) + ".json", expanded, without_extension(expanded)};
      for (const std::string& n : names) {
        auto [found, fresh] = taken.emplace(n, &job);
        if (!fresh && !(found->second == &job && field == "output")) {
          std::string other = found->second == &job ? "itself" : found->second->place;
          return fmt::format("{}: {}: {} is written by {}, too; put {{index}} or {{seed}} into the name", job.place, field,
                             json_quoted(expanded), other);
        }
      }
      name = folder + "/" + expanded;
    }
  }
  return {};
}

}  // namespace zt
