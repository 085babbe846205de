// What a window asks for beside jobs, and the answers: reading clips and settings, writing pictures, estimates. Plain
// values, like events.h; every request has exactly one answer, except that a newer estimate replaces a waiting one.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "app/session/clip_frames.h"
#include "app/session/job_spec.h"

namespace zt {

struct LoadClip {
  std::string path;
  int slot = 0;  // handed back
};
struct ClipLoaded {
  std::string path;
  int slot = 0;
  Clip clip;
  Problem problem;
};

struct SavePicture {
  std::string path;
  Clip clip;
  int64_t frame = 0;
};
struct WriteText {
  std::string path, text;
};
struct FileWritten {
  std::string path;
  Problem problem;
};

// Clips of a folder that carry settings, newest first, and the jobs that wait in its queue file. The folder is made when it
// is missing.
struct ListClips {
  std::string folder;
};
struct ClipEntry {
  std::string path;
  JobSpec spec;
  Clip thumbnail;  // one small frame; null until it is loaded
};
struct ClipsListed {
  std::string folder;
  std::vector<ClipEntry> clips;
  Problem problem;
  std::vector<JobSpec> waiting = {};
};

// Answered after everything else that waits; null when the clip cannot be read.
struct LoadThumbnail {
  std::string path;
};
struct ThumbnailLoaded {
  std::string path;
  Clip thumbnail;
};

// Settings of a side file, or of the clip beside it or carrying them.
struct ReadSettings {
  std::string path;
};
struct SettingsRead {
  std::string path;
  JobSpec spec;
  Problem problem;
};

// What the model wants when the user does not say.
struct DescribeModel {
  std::string model;
};
struct ModelDescribed {
  std::string model;
  JobSpec defaults;
  Problem problem;
};

// What a job would take, from configs alone.
struct EstimateJob {
  uint64_t version = 0;  // handed back
  JobSpec spec;
};
struct JobEstimate {
  uint64_t version = 0;
  int64_t tokens = 0, layers = 0, heads = 0;
  int64_t weights_mb = 0, activations_mb = 0, decode_mb = 0, peak_mb = 0, available_mb = 0;
  bool tiled_decode = false;
  double density = -1;  // of the plan; negative = the method decides while it runs
  std::string warning;  // outside of what the model was trained on
  Problem problem;
};

using DeskRequest =
    std::variant<LoadClip, SavePicture, WriteText, ListClips, LoadThumbnail, ReadSettings, DescribeModel, EstimateJob>;
using DeskAnswer = std::variant<ClipLoaded, FileWritten, ClipsListed, ThumbnailLoaded, SettingsRead, ModelDescribed, JobEstimate>;

}  // namespace zt
