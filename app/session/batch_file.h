// A batch: job files (TOML or CSV) to a list of single jobs. Lists of values become grids, output names are made from templates,
// and everything that can be judged without a model is judged here: nothing has been read or written when it says no.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

struct BatchJob {
  JobSpec spec;
  std::set<std::string> given;  // names of the fields somebody set
  std::string place;            // "night.toml, job 3": for messages
};

struct BatchInput {
  std::string name, text;
  bool csv = false;
};

inline constexpr size_t kMaxBatchJobs = 100000;

// Who wins: [defaults] < flags < the job's own keys. A list of values makes a job of each; several lists make all combinations,
// the last key of the file varying fastest. CSV: the first line names the keys, an empty cell is not given.
[[nodiscard]] Problem read_batch(std::span<const BatchInput> files, const JobSpec& flags, const std::set<std::string>& given_by_flags,
                                 std::vector<BatchJob>& jobs);

// Once every field has its value: draws negative seeds from the rest of the settings and the job's number, so that the next run
// draws the same, expands the templates of `output`, `save_latents`, `save_frames` and `report`, and puts them into `folder`.
//   {index} the job's number from 1 (four digits; {index:2}: two), {FIELD} any field's value, {FIELD:N} its first N characters;
//   {{ and }} stand for the braces. Characters that do not belong in a file name become -.
// Names must be relative, stay below the folder and be told apart, side files and checkpoints included.
[[nodiscard]] Problem settle_batch(std::span<BatchJob> jobs, const std::string& folder);

// One name from its template, for tests and messages.
[[nodiscard]] Problem expand_template(std::string_view pattern, const JobSpec& spec, size_t index, std::string& name);

}  // namespace zt
