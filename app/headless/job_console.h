// Runs one job on an engine of its own and shows it: progress, notes, result; Ctrl-C and SIGTERM cancel it.
#pragma once

#include <functional>
#include <memory>

#include "app/engine/job_runner.h"
#include "app/engine/model_host.h"
#include "app/headless/job_options.h"

namespace zt {

// The exit code. on_result: takes the result instead of standard output; an error is said either way.
int run_job(std::unique_ptr<JobRunner> runner, const JobOptions& options, std::function<void(const JobResult&)> on_result = {});

// A host for the model on this machine.
Result<std::shared_ptr<ModelHost>> make_host();

}  // namespace zt
