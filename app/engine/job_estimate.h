// What a job would take, from configs alone: nothing is loaded and no output is touched.
#pragma once

#include "app/engine/job_check.h"
#include "app/session/desk.h"
#include "kernels/api/exec_context.h"

namespace zt {

JobEstimate estimate_job(const EstimateJob& ask, const JobPlaces& places, const ExecContext& ctx);
ModelDescribed describe_model(const DescribeModel& ask, const JobPlaces& places);

}  // namespace zt
