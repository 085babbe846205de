// A runner whose body returns a Status: clock, result and exit code are filled in one place.
#pragma once

#include <memory>

#include "app/engine/job_clock.h"
#include "app/engine/runners.h"

namespace zt {

class StageRunner : public JobRunner {
 public:
  explicit StageRunner(std::shared_ptr<ModelHost> host) : host_(std::move(host)) {}
  JobResult run(const JobSpec& spec, const JobControl& control) final {
    JobResult result;
    result.spec = spec;
    JobClock clock(control, result);
    Status s = stage(spec, control, clock, result);
    clock.end();
    result.code = exit_code(s.code()), result.error = s.message();
    return result;
  }

 protected:
  virtual Status stage(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result) = 0;
  ModelHost& host() { return *host_; }

 private:
  std::shared_ptr<ModelHost> host_;
};

}  // namespace zt
