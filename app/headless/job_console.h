// Runs one job on an engine of its own and shows it: progress, notes, result; Ctrl-C and SIGTERM cancel it.
#pragma once

#include <memory>

#include "app/engine/job_runner.h"
#include "app/engine/model_host.h"
#include "app/headless/job_options.h"

namespace zt {

// The exit code.
int run_job(std::unique_ptr<JobRunner> runner, const JobOptions& options);

// The same without a record of the result: for commands that go on from there. Errors are in the result.
JobResult run_and_show(std::unique_ptr<JobRunner> runner, const JobSpec& spec, const JobOptions& options);

// A host for the model on this machine.
Result<std::shared_ptr<ModelHost>> make_host();

}  // namespace zt
