// What all jobs that use a model share: the machine, the open model (kept between jobs that ask for the same one), and
// the steps each of them begins with.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/engine/embed_cache.h"
#include "app/engine/fingerprint.h"
#include "app/engine/job_check.h"
#include "app/engine/job_clock.h"
#include "app/engine/machine.h"
#include "app/engine/time_estimate.h"
#include "model/pipeline/text_to_video.h"

namespace zt {

class ModelHost {
 public:
  ModelHost(std::unique_ptr<Machine> machine, JobPlaces places) : machine_(std::move(machine)), places_(std::move(places)) {}

  const JobPlaces& places() const { return places_; }
  const ExecContext& ctx() const { return machine_->ctx; }
  Machine& machine() { return *machine_; }

  // prepare_job with this machine, its notes passed on; sets threads and cancel flag for the job.
  Result<PreparedJob> begin(const JobSpec& spec, JobKind kind, const JobControl& control);
  Result<TextToVideo*> open(const PreparedJob& job);
  // The prompt's embedding by the open model, computed once.
  Result<Tensor> embed(const TokenIds& ids);
  // Tensors may take what is free, or what --max-memory leaves beside the program and `beside`. The model's estimate uses
  // this budget to choose between exact and tiled decoding, and the arena refuses what exceeds it.
  void set_budget(const PreparedJob& job, size_t beside);
  // Flops a second this machine reaches on the open model (time_estimate.h).
  Result<double> speed(const PreparedJob& job, int64_t tokens) {
    return gauge_.measure(job.model_root, pipeline_->model().transformer_config, tokens, job.compute, ctx());
  }
  // Prints the estimate as a note and refuses what does not fit (kTooBig). instead: what the refusal says would fit, given a
  // test of bytes.
  using Instead = std::function<std::string(const std::function<bool(size_t)>& fits)>;
  Status admit(size_t bytes, const std::string& breakdown, const PreparedJob& job, const JobControl& control, JobResult& result,
               const Instead& instead = {}) const;
  // For what was admitted on a GPU: loads the open model's weights as the estimate says, and says so. kTooBig: they are to be
  // streamed and the host has no room for them.
  Status place(const MemoryEstimate& memory, const JobControl& control, JobResult& result);

 private:
  // What the process holds besides tensors, or will: the program, its libraries, the tokenizer's tables.
  size_t program_bytes() const;
  // Device memory a job may take: what is free beside what is held, or --max-vram.
  size_t gpu_bytes(const PreparedJob& job) const;

  std::unique_ptr<Machine> machine_;
  JobPlaces places_;
  std::string root_, device_;  // of pipeline_
  std::unique_ptr<TextToVideo> pipeline_;
  EmbedCache embeds_;  // of pipeline_
  SpeedGauge gauge_;
  Fingerprints fingerprints_;
};

// Reads a tensor of a safetensors file as f32, shape free; mistakes are kInvalid and name the field.
Result<Tensor> read_tensor(std::string_view field, const std::string& path, const std::string& name, int rank,
                           const ExecContext& ctx);

// The real rows of a stored embedding [L, C]: trailing rows of zeros are padding.
TensorView real_rows(const TensorView& embeds);

std::string mib(size_t bytes);  // "12 MiB", "3.4 GiB"

}  // namespace zt
