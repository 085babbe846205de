// A runner whose body returns a Status: clock, result and exit code are filled in one place. A body may leave its end for later.
#pragma once

#include <memory>

#include "app/engine/job_clock.h"
#include "app/engine/runners.h"

namespace zt {

class StageRunner : public JobRunner {
 public:
  explicit StageRunner(std::shared_ptr<ModelHost> host) : host_(std::move(host)) {}
  JobResult run(const JobSpec& spec, const JobControl& control) final {
    JobRest rest;
    JobResult result = begin(spec, control, rest);
    return rest ? rest() : result;
  }
  JobResult begin(const JobSpec& spec, const JobControl& control, JobRest& rest) final {
    auto job = std::make_shared<Running>(spec, control);
    Ending ending;
    Status s = stage(spec, control, job->clock, job->result, ending);
    if (!ending) return job->close(s);
    rest = [job, ending = std::move(ending)] { return job->close(ending()); };
    return {};
  }

 protected:
  // Clock and result are there until it is over. It must not use the host.
  using Ending = std::function<Status()>;
  virtual Status stage(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result, Ending& ending) = 0;
  ModelHost& host() { return *host_; }

 private:
  struct Running {
    Running(const JobSpec& spec, const JobControl& control) : clock(control, result) { result.spec = spec; }
    JobResult close(const Status& s) {
      clock.end();
      result.code = exit_code(s.code()), result.error = s.message();
      return std::move(result);
    }
    JobResult result;
    JobClock clock;
  };
  std::shared_ptr<ModelHost> host_;
};

}  // namespace zt
