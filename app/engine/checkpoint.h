// The state of an unfinished job in a hidden file beside its output: written in steps and when the job is stopped, taken up
// by --resume, removed when the job is done. One form for all of it; after the last step it holds the finished latents.
//
//   .<stem>.checkpoint: safetensors; tensors `latents`, `solver.*`, `policy` and `report` (u8, only where there is one); metadata `format`,
//   `settings_hash`, `model_hash` (fingerprint.h), `attention` (hash of the attention spec and the files it names), `step`, `steps`,
//   `noise`, `checksum` (SHA-256 of all the rest).
//
// Read as hostile input: sizes before anything is allocated, then every field by name.
#pragma once

#include <chrono>
#include <optional>

#include "app/engine/job_check.h"
#include "model/io/safetensors.h"
#include "model/pipeline/denoise_state.h"

namespace zt {

std::string checkpoint_path(const std::string& output);

// What a job must have in common with its checkpoint.
struct CheckpointKey {
  std::string settings_hash, attention;
  int64_t steps = 0;
  std::string model_hash = {};
};

struct Checkpoint {
  std::shared_ptr<const MappedFile> file;  // holds what the views of `state` show
  DenoiseState state;
  std::string report;  // see report.h; read as it is
};

Status write_checkpoint(const std::string& path, const CheckpointKey& key, const DenoiseState& state, WriteFaults* faults,
                        bool sync = true, std::string_view report = {});
// kInvalid with the field named; kBadModel from the format's own rules.
Result<Checkpoint> read_checkpoint(const std::string& path, const CheckpointKey& key);

// The checkpoint of one render.
class JobCheckpoint {
 public:
  // With spec.resume, takes up what is there; a file that does not fit is said through `note` and left alone.
  static Result<JobCheckpoint> open(const PreparedJob& job, const std::function<void(std::string)>& note);
  const DenoiseState* found() const { return found_ ? &found_->state : nullptr; }
  std::string_view found_report() const { return found_ ? std::string_view(found_->report) : std::string_view(); }
  // Whether all steps are done, for latents of this shape: only the decoder is left.
  bool sampled(const Shape& latents) const {
    return found_ && found_->state.step == found_->state.steps && found_->state.latents.shape == latents;
  }
  // A checkpoint that cannot be written is said once and does not end the job.
  void save(const DenoiseState& state, std::string_view report = {});
  void remove();
  // What to say to someone whose job was stopped, or empty when nothing would be gained by resuming.
  std::string hint() const;

 private:
  std::string path_;
  CheckpointKey key_;
  WriteFaults* faults_ = nullptr;
  std::function<void(std::string)> note_;
  std::optional<Checkpoint> found_;
  std::chrono::steady_clock::time_point synced_ = std::chrono::steady_clock::now();
  int64_t saved_ = 0;  // step of the file there is
  bool warned_ = false;
};

}  // namespace zt
