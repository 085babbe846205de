// JobSpec as text: the JSON stored with a clip (side file and container comment), job files in TOML, and the hash that
// says whether two jobs ask for the same clip.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

// Keys are the render flags with underscores; paths, limits and manners (FieldRole::run) are not in it.
nlohmann::ordered_json settings_json(const JobSpec& spec);

// SHA-256 of the settings with keys sorted: equal for two jobs exactly when the same clip is asked for.
std::string settings_hash(const JobSpec& spec);

// What made a clip, besides its settings: enough to say later why it cannot be made again to the bit.
struct Origin {
  std::string version, isa, model_hash;
};

// What is stored with a clip: {"zoetrope": version, "settings_hash": ..., "isa": ..., "model_hash": ..., every key of
// settings_json}; what of the origin is not known is left out.
nlohmann::ordered_json settings_document(const JobSpec& spec, const Origin& origin);
nlohmann::ordered_json settings_document(const JobSpec& spec, std::string_view version);

// Text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_quoted(std::string_view text);

// Reads settings_document or a plain object of keys over `spec`. Unknown keys, duplicate keys, wrong types, more than
// 64 levels or 1 MiB are problems; ranges are validate's.
[[nodiscard]] Problem read_settings(std::string_view json, JobSpec& spec);
// The same, with what settings_document says beside the settings; empty where it says nothing.
[[nodiscard]] Problem read_settings(std::string_view json, JobSpec& spec, Origin& origin, std::string& stated_hash);

// Keys of one job, in the order of the file, over `spec`. An unknown key is a problem that names the nearest known one.
[[nodiscard]] Problem apply_keys(const nlohmann::json& keys, JobSpec& spec);

// A job file: `[defaults]` and a list of `[[job]]`, both as objects of keys in the order of the file, whose names and types are
// checked. A value may be a list of values: a grid (batch_file.h).
struct JobFile {
  nlohmann::ordered_json defaults = nlohmann::ordered_json::object();
  std::vector<nlohmann::ordered_json> jobs;
};
[[nodiscard]] Problem read_job_file(std::string_view toml, JobFile& file);

}  // namespace zt
