// Renders of the embedded model in this process, small enough to be done by the hundred.
#pragma once

#include <gtest/gtest.h>

#include "app/engine/runners.h"
#include "app/media/av.h"
#include "model/io/safetensors.h"
#include "tests/app/temp_folder.h"

namespace zt::testing {

inline std::shared_ptr<ModelHost> tiny_host() {
  quiet_ffmpeg();
  auto machine = Machine::make();
  EXPECT_TRUE(machine.ok()) << machine.status().message();
  return std::make_shared<ModelHost>(std::move(*machine), JobPlaces{ZT_SOURCE_DIR "/assets", "test"});
}

inline JobSpec tiny_job(const std::string& output, int64_t steps = 3) {
  JobSpec s;
  s.prompt = "a red ball", s.size = {32, 32}, s.frames = 5, s.steps = steps, s.threads = 1, s.output = output;
  return s;
}

struct TinyRun {
  JobResult result;
  std::vector<std::string> notes;
  bool said(const std::string& word) const {
    for (const std::string& n : notes) {
      if (n.find(word) != std::string::npos) return true;
    }
    return false;
  }
  std::vector<JobState> states;
};

// stop_at: cancels when this state has done this many steps.
struct StopAt {
  JobState state = JobState::queued;
  int64_t step = 0;
};

inline TinyRun run_tiny(JobRunner& runner, const JobSpec& spec, StopAt stop = {}) {
  TinyRun run;
  std::atomic<bool> cancel{false};
  JobControl control;
  control.cancel = &cancel;
  control.note = [&](std::string line) { run.notes.push_back(std::move(line)); };
  control.progress = [&](const Progress& p) {
    if (run.states.empty() || run.states.back() != p.state) run.states.push_back(p.state);
    if (p.state == stop.state && p.step == stop.step) cancel = true;
  };
  run.result = runner.run(spec, control);
  return run;
}

inline std::string latents_of(const std::string& path) {
  auto f = SafetensorsFile::open(path);
  EXPECT_TRUE(f.ok()) << f.status().message();
  if (!f.ok()) return {};
  const TensorView& t = f->tensors.at("latents");
  return {static_cast<const char*>(t.data), t.bytes()};
}

}  // namespace zt::testing
