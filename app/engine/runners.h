// The kinds of jobs. Each is a JobRunner over one ModelHost; `input` is the file a job reads besides what its spec names.
#pragma once

#include <memory>
#include <string>

#include "app/engine/job_runner.h"
#include "app/engine/model_host.h"

namespace zt {

struct RenderOptions {
  bool explain = false;                // notes say which implementation runs and why the others do not
  std::vector<AttentionHook*> hooks;   // see every attention; they must outlive the runner
};
// Prompt to clip.
std::unique_ptr<JobRunner> make_render_runner(std::shared_ptr<ModelHost> host, RenderOptions options = {});
// Prompt to `prompt_embeds` [max text tokens, C] f32: the rows after the prompt's own are zeros.
std::unique_ptr<JobRunner> make_embed_runner(std::shared_ptr<ModelHost> host);
// Clip to `latents` [C, T, H, W] f32. Sides are cropped to multiples of the model's grid, the end to 4n + 1 frames, and it is
// said.
std::unique_ptr<JobRunner> make_encode_runner(std::shared_ptr<ModelHost> host, std::string input);
// `latents` to clip.
std::unique_ptr<JobRunner> make_decode_runner(std::shared_ptr<ModelHost> host, std::string input);

// What a render would do, without doing it: model opened (configs only), outputs checked, memory estimated and admitted.
Result<PreparedJob> dry_run(ModelHost& host, const JobSpec& spec, const JobControl& control, JobResult& result);

}  // namespace zt
