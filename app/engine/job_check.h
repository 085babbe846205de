// Everything about a job that can be judged before any work: the spec, the names of its files, the method, the model's
// place. What passes here fails later only for reasons of the world (memory, disk, damaged weights).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/media/clip_format.h"
#include "app/media/output_stream.h"
#include "app/session/events.h"
#include "app/session/job_text.h"
#include "kernels/core/cpu_features.h"
#include "kernels/core/dtype.h"
#include "model/dit/attend.h"
#include "model/sampling/noise.h"
#include "model/sampling/sampler.h"

namespace zt {

enum class JobKind : uint8_t { render, embed, encode, decode };

struct JobPlaces {
  std::string assets;  // folder with mini/, presets/
  std::string version;
};

struct PreparedJob {
  JobSpec spec;  // nothing left open: frames snapped, seed drawn, precision, device and output settled
  std::string model_root;
  DType compute = DType::f32;
  ClipFormat format;      // render and decode
  std::string side_file;  // empty = none is written
  bool replace = false, replace_side = false;
  SamplerKind sampler = SamplerKind::unipc;
  Rng rng = Rng::philox;
  std::shared_ptr<AttentionPolicy> attention;
  WriteFaults* faults = nullptr;  // of the machine
  Origin origin;
};

// The part that looks at no file but a plan file: ranges, method, precision, device.
Result<PreparedJob> settle_job(const JobSpec& spec, Isa isa, std::vector<std::string>& notes);
// Folder or file of a model as a job names it: an embedded one's name, which wins, or a path; kBadModel when there is none.
Result<std::string> model_root(const std::string& model, const JobPlaces& places);

// kInvalid or kBadModel with one line; `notes` receives what was changed.
Result<PreparedJob> prepare_job(const JobSpec& spec, JobKind kind, const JobPlaces& places, Isa isa,
                                std::vector<std::string>& notes);

ExitCode exit_code(Code code);

}  // namespace zt
