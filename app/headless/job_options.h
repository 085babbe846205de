// The option group that render shares with every subcommand that loads a model. It is made from the table of JobSpec's
// fields; only the spellings other programs use for the same thing are listed here.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

enum class ProgressMode : uint8_t { plain, jsonl, none };

struct JobOptions {
  JobSpec spec;
  std::set<std::string> given;  // names of the fields that flags set
  std::string prompt_file;
  bool json = false, explain = false, dry_run = false;
  ProgressMode progress = ProgressMode::plain;
  bool progress_given = false;
  Problem problem;  // first mistake met while reading flags
};

// Fields a stage needs of a render's.
std::vector<std::string> stage_fields();

// Adds the flags of these fields (empty = all) and the flags of the console.
std::shared_ptr<JobOptions> add_job_options(CLI::App& app, const std::vector<std::string>& fields);

// After parsing: reads the prompt from its file or standard input, and gives the first mistake met.
[[nodiscard]] Problem finish_job_options(JobOptions& options);

}  // namespace zt
