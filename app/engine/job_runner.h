// The border between the queue and the work: the engine knows jobs, a runner knows how to do one. Tests put a stub here.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "app/session/events.h"

namespace zt {

struct JobControl {
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(const Progress&)> progress;
  std::function<void(std::string)> note;  // one line for the user
  // Empty when nobody watches: then nothing is made for them.
  std::function<void(Preview)> preview;
  std::function<void(AttentionTable)> attention;
  std::function<void(AttentionMap)> attention_map;
  std::function<MeasuredHead()> measured_head;  // asked at each attention; there whenever attention_map is
  // Waits until the rests of earlier jobs are done, and what they hold is free. Empty: there are none.
  std::function<void()> settle;
};

// What is left of a job once the machine is free for the next one: its last frames coded, its files synced and named. Called
// once, on any thread, while the next job may be at work; gives the job's result.
using JobRest = std::function<JobResult()>;

class JobRunner {
 public:
  virtual ~JobRunner() = default;
  // Called by the engine's worker only, one job at a time. May throw; the engine turns that into a failed result.
  virtual JobResult run(const JobSpec& spec, const JobControl& control) = 0;
  // The same but for a `rest`, which is the caller's to run; spec and control must outlive it. Without one the result is final.
  virtual JobResult begin(const JobSpec& spec, const JobControl& control, JobRest& /*rest*/) { return run(spec, control); }
};

}  // namespace zt
