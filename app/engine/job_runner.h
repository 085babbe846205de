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
};

class JobRunner {
 public:
  virtual ~JobRunner() = default;
  // Called by the engine's worker only, one job at a time. May throw; the engine turns that into a failed result.
  virtual JobResult run(const JobSpec& spec, const JobControl& control) = 0;
};

}  // namespace zt
