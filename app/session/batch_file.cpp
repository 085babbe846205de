#include "app/session/batch_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/session/csv.h"
#include "app/session/job_fields.h"
#include "app/session/job_text.h"
#include "app/session/text.h"

namespace zt {
namespace {

using Keys = nlohmann::ordered_json;

// A job's keys in the order of the file; a list holds a grid's values.
struct Draft {
  Keys keys;
  std::string place;
};

Problem read_table(const BatchInput& in, Keys& defaults, std::vector<Draft>& drafts) {
  JobFile file;
  if (Problem p = read_job_file(in.text, file); !p.empty()) return p;
  defaults = file.defaults;
  for (size_t i = 0; i < file.jobs.size(); ++i) drafts.push_back({file.jobs[i], fmt::format("{}, job {}", in.name, i + 1)});
  return {};
}

Problem read_cells(const BatchInput& in, std::vector<Draft>& drafts) {
  if (in.text.size() > kMaxTextBytes) return "longer than 1 MiB";
  if (auto at = invalid_utf8_at(in.text)) return fmt::format("not valid UTF-8 at byte {}", *at);
  std::vector<CsvRow> rows;
  if (Problem p = read_csv(in.text, rows); !p.empty()) return p;
  if (rows.size() < 2) return "no jobs in it: a line of keys and a line a job are wanted";
  std::vector<const Field*> columns;
  for (const std::string& name : rows[0].cells) {
    const Field* f = find_field(name);
    if (!f) {
      std::string nearest = closest_name(name, field_names());
      return fmt::format("line 1: unknown key `{}`{}", quotable_text(name), nearest.empty() ? "" : "; did you mean `" + nearest + "`?");
    }
    if (std::find(columns.begin(), columns.end(), f) != columns.end()) return fmt::format("line 1: key `{}` stands twice", quotable_text(name));
    columns.push_back(f);
  }
  for (size_t r = 1; r < rows.size(); ++r) {
    Draft d{Keys::object(), fmt::format("{}, line {}", in.name, rows[r].line)};
    if (rows[r].cells.size() != columns.size())
      return fmt::format("line {}: {} cells, the first line names {}", rows[r].line, rows[r].cells.size(), columns.size());
    for (size_t c = 0; c < columns.size(); ++c) {
      JobSpec scratch;
      if (rows[r].cells[c].empty()) continue;
      Problem p = set_field(scratch, *columns[c], std::string_view(rows[r].cells[c]));
      if (!p.empty()) return fmt::format("line {}: {}", rows[r].line, p);
      d.keys[std::string(columns[c]->name)] = field_value(scratch, *columns[c]);
    }
    drafts.push_back(std::move(d));
  }
  return {};
}

// Whether `keys` asks for something by this one: an empty list of sigmas and a shift of 0 leave it to the model.
bool asks(const Keys& keys, const std::string& name) {
  auto found = keys.find(name);
  return found != keys.end() && *found != "" && *found != 0;
}

// What contradicts a key that stands nearer to the job yields to it: it is removed from `far`.
void yield_to(const Keys& near, Keys& far) {
  constexpr std::pair<const char*, const char*> kOneOfTwo[] = {
      {"frames", "seconds"}, {"sigmas", "steps"}, {"sigmas", "flow_shift"}, {"steps", "sigmas"}, {"flow_shift", "sigmas"}};
  for (auto [winner, loser] : kOneOfTwo) {
    if (asks(near, winner) && !near.contains(loser) && asks(far, loser)) far.erase(loser);
  }
}

// All combinations of the lists in `keys`, the last one varying fastest.
Problem expand_grid(const Draft& draft, std::vector<BatchJob>& jobs) {
  size_t count = 1;
  for (const auto& [key, value] : draft.keys.items()) {
    if (!value.is_array()) continue;
    count *= value.size();  // at most the length of a file a factor, and checked after each
    if (count + jobs.size() > kMaxBatchJobs) return fmt::format("{}: its lists make more than {} jobs", draft.place, kMaxBatchJobs);
  }
  if (count + jobs.size() > kMaxBatchJobs) return fmt::format("more than {} jobs", kMaxBatchJobs);
  for (size_t n = 0; n < count; ++n) {
    nlohmann::json chosen = nlohmann::json::object();
    std::string which;
    size_t rest = n, block = count;
    for (const auto& [key, value] : draft.keys.items()) {
      if (!value.is_array()) {
        chosen[key] = nlohmann::json(value);
        continue;
      }
      block /= value.size();
      const auto& v = value[rest / block];
      rest %= block;
      chosen[key] = nlohmann::json(v);
      which += fmt::format("{}{} = {}", which.empty() ? " (" : ", ", key, quotable_text(v.dump()));
    }
    BatchJob job{{}, {}, draft.place + (which.empty() ? "" : which + ")")};
    if (Problem p = apply_keys(chosen, job.spec); !p.empty()) return job.place + ": " + p;
    for (const auto& [key, value] : chosen.items()) job.given.insert(key);
    if (Problem p = validate(job.spec); !p.empty()) return job.place + ": " + p;
    if (!job.given.count("prompt") && job.spec.text_embeds.empty()) return job.place + ": prompt: is missing";
    jobs.push_back(std::move(job));
  }
  return {};
}

}  // namespace

Problem read_batch(std::span<const BatchInput> files, const JobSpec& flags, const std::set<std::string>& given_by_flags,
                   std::vector<BatchJob>& jobs) {
  for (const BatchInput& in : files) {
    Keys defaults = Keys::object();
    std::vector<Draft> drafts;
    Problem p = in.csv ? read_cells(in, drafts) : read_table(in, defaults, drafts);
    if (!p.empty()) return in.name + ": " + p;
    Keys by_flags = Keys::object();
    for (const std::string& name : given_by_flags) by_flags[name] = Keys(field_value(flags, *find_field(name)));
    yield_to(by_flags, defaults);
    defaults.update(by_flags);
    for (Draft& d : drafts) {
      Draft whole{defaults, d.place};
      yield_to(d.keys, whole.keys);
      for (const auto& [key, value] : d.keys.items()) {
        whole.keys.erase(key);  // so that it takes the place the job gives it
        whole.keys[key] = value;
      }
      if (Problem q = expand_grid(whole, jobs); !q.empty()) return q;
    }
  }
  return jobs.empty() ? "no jobs in it" : "";
}

}  // namespace zt
