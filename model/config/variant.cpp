#include "model/config/variant.h"

#include <sys/stat.h>

#include <algorithm>

#include "model/config/config.h"
#include "model/config/config_reader.h"
#include "model/io/text_file.h"
#include "model/sampling/sampler.h"

namespace zt {
namespace {

constexpr std::string_view kFile = "variant.json", kFormat = "zoetrope variant 1";
constexpr int64_t kLargestRank = 4096, kMaxSteps = 1000;
constexpr double kMaxAlpha = 1e6, kMaxGuidance = 100;

// A text that will stand in messages and tables.
std::string line_of(ConfigReader& r, std::string_view key, std::string_view fallback, size_t most) {
  std::string s = r.text(key, fallback);
  bool control = std::any_of(s.begin(), s.end(), [](char c) { return uint8_t(c) < 0x20 || c == 0x7f; });
  if (control) r.refuse(key, "holds a control character");
  if (s.size() > most) r.refuse(key, fmt::format("has {} bytes, more than {}", s.size(), most));
  return s;
}

std::string needed_line(ConfigReader& r, std::string_view key, size_t most) {
  if (!r.has(key)) r.refuse(key, "is missing");
  std::string s = line_of(r, key, "", most);
  if (s.empty()) r.refuse(key, "is empty");
  return s;
}

void read_defaults(ConfigReader& r, Variant& v) {
  r.only({"attn", "steps", "guidance", "sampler", "sigmas"});
  if (r.has("attn")) {
    v.attn = needed_line(r, "attn", 1000);
    // It would be looked for in the user's current folder.
    if (v.attn->starts_with('@')) r.refuse("attn", "names a file; a method with its parameters is wanted");
  }
  v.steps = r.has("steps") ? std::optional(r.integer("steps", 1, 1, kMaxSteps)) : std::nullopt;
  v.guidance = r.has("guidance") ? std::optional(r.real("guidance", 1, 0, kMaxGuidance)) : std::nullopt;
  if (r.has("sampler")) {
    v.sampler = needed_line(r, "sampler", 100);
    if (!sampler_from_name(*v.sampler)) r.refuse("sampler", fmt::format("is '{}', which is no sampler", quotable(*v.sampler)));
  }
  v.sigmas = r.doubles("sigmas", {}, size_t(kMaxSteps));
  if (!v.sigmas.empty()) {  // judged where every list of sigmas is; what one sampler minds more shows when a job names it
    Status fit = make_schedule(SamplerKind::euler, v.sigmas, SchedulerConfig().train_timesteps).status();
    if (!fit.ok()) r.refuse("sigmas", "do not fit: " + fit.message());
  }
  if (!v.sigmas.empty() && v.steps && *v.steps != int64_t(v.sigmas.size()))
    r.refuse("steps", fmt::format("is {}, sigmas has {} entries", *v.steps, v.sigmas.size()));
}

}  // namespace

bool is_variant(const std::string& folder) {
  struct stat st {};
  return stat(fmt::format("{}/{}", folder, kFile).c_str(), &st) == 0;
}

Result<Variant> read_variant(const std::string& folder) {
  Variant v;
  v.file = fmt::format("{}/{}", folder, kFile);
  ZT_ASSIGN_OR_RETURN(ConfigReader r, ConfigReader::open(v.file));
  std::string format = needed_line(r, "format", 100);
  if (format != kFormat) r.refuse("format", fmt::format("is '{}', supported is '{}'", quotable(format), kFormat));
  r.only({"format", "name", "about", "base", "delta", "rank", "alpha", "boundary_ratio", "defaults"});
  v.name = needed_line(r, "name", 64);
  v.about = line_of(r, "about", "", 300);
  std::string base = needed_line(r, "base", 4000), delta = line_of(r, "delta", "delta.safetensors", 255);
  if (delta.empty() || delta == "." || delta == ".." || delta.find_first_of("/\\") != std::string::npos)
    r.refuse("delta", fmt::format("is '{}', not a plain file name", quotable(delta)));
  v.base = base.starts_with('/') ? base : folder + "/" + base;
  v.delta = folder + "/" + delta;
  if (!r.has("rank")) r.refuse("rank", "is missing");
  v.rank = r.integer("rank", 1, 1, kLargestRank);
  v.alpha = r.real("alpha", double(v.rank), 0, kMaxAlpha);
  if (!(v.alpha > 0)) r.refuse("alpha", "is 0: the delta would do nothing");
  if (r.has("boundary_ratio")) {
    v.boundary_ratio = r.real("boundary_ratio", 1, 0, 1);
    if (!(*v.boundary_ratio > 0)) r.refuse("boundary_ratio", "is 0: no step would be the variant's");
  }
  const nlohmann::json* defaults = r.find("defaults");
  if (defaults && !defaults->is_object()) r.refuse("defaults", "is not an object");
  if (!r.status().ok()) return r.status();
  if (is_variant(v.base)) return bad_model("{}: base is '{}', a variant itself; it must name a model", v.file, quotable(base));
  ConfigReader d(v.file + ": defaults", defaults ? *defaults : nlohmann::json::object());
  read_defaults(d, v);
  if (!d.status().ok()) return d.status();
  return v;
}

}  // namespace zt
