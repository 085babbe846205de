// Prompt to frames as named stages: embed, denoise, decode. No threads of its own, no user interface, no files written.
// A stage loads the part it needs and, unless everything fits the budget together, frees it before the next one.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/config/config.h"
#include "model/dit/attend.h"
#include "model/dit/transformer.h"
#include "model/io/low_rank.h"
#include "model/pipeline/denoise_state.h"
#include "model/sampling/sampler.h"
#include "model/text/text_encoder.h"
#include "model/text/tokenizer.h"
#include "model/vae/vae.h"

namespace zt {

// Size of a clip in pixels and frames; frames = 4 n + 1, width and height multiples of 16 for the Wan2.1 family.
struct ClipShape {
  int64_t width = 128, height = 128, frames = 33;
};

// Nearest 4 n + 1 at or below `frames` (at least 1), for the model's temporal factor.
int64_t snap_frames(const ModelFolder& model, int64_t frames);
// Latent [C, T, H, W] of a clip, or why the model cannot make this size (kInvalid).
Result<Shape> latent_shape(const ModelFolder& model, const ClipShape& clip);

// Where the weights of the parts are. On a device only: with less memory the parts first go one before the next comes, then the
// blocks of one that does not fit are streamed from host memory (block_stream.h). It changes no result.
struct Placement {
  bool together = false;  // all parts stay loaded; else each stage frees those of the others first
  bool text_streamed = false, transformer_streamed = false;
  bool operator==(const Placement&) const = default;
};

// Bytes per phase, upper bounds within 10% of what is measured. Weights count in the phase that holds them.
struct MemoryEstimate {
  size_t text = 0, denoise = 0, decode = 0;       // peak of each phase
  size_t weights = 0, activations = 0, decode_working = 0;  // of the transformer; of the decoder beyond its weights
  bool tiled_decode = false;                      // asked for, or chosen because the exact decode does not fit
  Placement placement;                            // the first that fits
  ChainBytes text_weights, transformer_weights;
  size_t peak() const { return std::max({text, denoise, decode}); }
  // Host memory of streamed weights, beside that of the device.
  size_t host() const;
};

struct DenoiseRequest {
  TensorView embeds, negative_embeds;  // [n, text_dim] f32; negative is not read when guidance <= 1
  int64_t steps = 20;
  double guidance = 4.0;               // classifier-free guidance scale; <= 1 skips the second pass
  SamplerKind sampler = SamplerKind::unipc;
  std::optional<double> flow_shift;    // default: the model's scheduler config
  std::vector<double> sigmas;          // of each step (make_schedule), instead of what sampler and flow_shift give; or empty
  Rng rng = Rng::philox;
  uint64_t seed = 42;
  TensorView init_latents;             // [C, T, H, W] f32 noise instead of the generator's, or empty
  std::shared_ptr<AttentionPolicy> attention;
  std::vector<AttentionHook*> hooks;
  const DenoiseState* resume = nullptr;  // go on from here; what does not fit is said and the job starts from the beginning
};

// The noise levels a request asks for; kInvalid when there are none such.
Result<Schedule> schedule_of(const ModelFolder& model, const DenoiseRequest& request);

// What happened in one step; the views are valid during the call only.
struct StepInfo {
  int64_t step = 0, steps = 1;  // step counts finished steps, 1..steps
  double sigma = 0, seconds = 0;
  TensorView latent, x0;        // x at the next sigma; x0 estimate of this step
};

struct DenoiseHooks {
  std::function<Status(const StepInfo&)> on_step;
  std::vector<AttentionRecord>* records = nullptr;
  // Receives all that is needed to go on: every `save_every` steps (0 = never), after the last one, and when the job is
  // cancelled between or inside steps. The views are valid during the call only.
  std::function<void(const DenoiseState&)> save;
  int64_t save_every = 0;
};

class TextToVideo {
 public:
  // Reads the configs and opens the tokenizer; weights are opened, checked and packed by the stages. compute: f32 or bf16.
  static Result<std::unique_ptr<TextToVideo>> open(const std::string& root, DType compute);

  const ModelFolder& model() const { return model_; }
  // Of a variant; null for other models.
  const LowRank* delta() const { return delta_.get(); }
  DType compute() const { return compute_; }

  // text_rows: longest of the two prompts in tokens; use model().max_text_tokens when not known yet. tiled: decoding in
  // tiles is asked for; else it is the answer where the exact decode does not fit the arena's budget. beside: what the attention
  // method and others hold while the clip is denoised.
  Result<MemoryEstimate> estimate(const ClipShape& clip, int64_t text_rows, bool tiled, const ExecContext& ctx, size_t beside = 0) const;
  // How parts are loaded from here on. Those that are loaded otherwise go.
  void place(const Placement& placement);

  // Whether the transformer has proj_l weights, which the linear part of an attention plan may need.
  Result<bool> has_projection() const;

  // Tokens of a cleaned prompt.
  Result<TokenIds> tokenize(std::string_view prompt) const;
  // [n, text_dim] f32.
  Result<Tensor> embed(const TokenIds& ids, const ExecContext& ctx);
  // Final x0 latents [C, T, H, W] f32 (normalised model latents). A step whose velocity or latents are not finite, or have
  // lost their variance, ends it (kFailed) and is named, with the layer where that was first seen.
  Result<Tensor> denoise(const ClipShape& clip, const DenoiseRequest& request, const DenoiseHooks& hooks, const ExecContext& ctx);
  // latents as denoise returns them; frames go to `sink` as they leave the decoder.
  Status decode(const TensorView& latents, bool tiled, const FrameSink& sink, const ExecContext& ctx);
  // Frames [-1, 1] f32 through `next` (returns an empty view at the end) -> normalised latents [C, T, H, W].
  Result<Tensor> encode(const ClipShape& clip, const std::function<Result<TensorView>()>& next, const ExecContext& ctx);

  // Every part's tensor names and shapes, and whether its values are finite for parts of at most `value_bytes`, without
  // rendering: what `models verify` does in full, and a render before its first step for all but the largest parts.
  Status verify(size_t value_bytes = std::numeric_limits<size_t>::max());

  // Loads what a stage needs ahead of time; the stages call it themselves. Weights that are not finite are kBadModel.
  Status load_text(const ExecContext& ctx);
  // The transformer is that of the last step, a variant's own where it shares the steps (Variant::boundary_ratio).
  Status load_transformer(const ExecContext& ctx);
  Status load_decoder(const ExecContext& ctx);
  // All parts stay loaded together: the model is small, and nobody has placed them otherwise.
  bool keep_all() const { return placement_.together; }
  void release_text();
  void release_transformer();
  void release_decoder();

 private:
  TextToVideo() = default;
  bool small() const;
  // Which transformer makes the steps of a job: a variant with a boundary_ratio has its base's beside its own.
  bool shares_steps() const { return model_.variant && model_.variant->boundary_ratio; }
  Result<Transformer*> transformer_for(bool base, const ExecContext& ctx);
  // The transformer's weights, under a variant's delta unless they are asked for as the base has them.
  Result<WeightStore> open_transformer(int threads, bool base = false) const;
  Status check_transformer_values(const WeightStore& store, bool base = false);
  // Reads the values of the weights at `path`, unless that was done before: once a model, not once a job and stage.
  Status check_values(const std::string& path, const WeightStore& store);
  Result<WeightStore> open_checked(const std::string& path);
  std::set<std::string> finite_;  // paths whose values are known to be finite
  ModelFolder model_;
  std::shared_ptr<const LowRank> delta_;
  mutable std::optional<bool> projection_;  // once it is known
  DType compute_ = DType::f32;
  Placement placement_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<TextEncoder> text_;
  std::unique_ptr<Transformer> transformer_, base_transformer_;
  std::unique_ptr<VaeDecoder> decoder_;
};

}  // namespace zt
