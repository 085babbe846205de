// embed, encode, decode: the stages of a render as jobs of their own.
#include <algorithm>

#include "app/engine/clip_output.h"
#include "app/engine/stage_runner.h"
#include "app/media/isolated_reader.h"
#include "app/session/job_text.h"
#include "kernels/api/transfer.h"

namespace zt {
namespace {

// A stage that ends in one file of one tensor.
class TensorRunner : public StageRunner {
 protected:
  using StageRunner::StageRunner;

  // Writes one tensor and names it.
  Status save(const PreparedJob& job, const std::string& name, const std::vector<int64_t>& shape, const TensorView& data,
              JobResult& result) {
    std::string settings = job.spec.no_metadata ? "" : settings_document(job.spec, host().places().version).dump();
    ZT_ASSIGN_OR_RETURN(auto file, TensorFile::open(job.spec.output, job.replace, name, DType::f32, shape, settings, job.faults));
    ZT_RETURN_IF_ERROR(file->write(data.data, data.bytes()));
    // Rows that `data` lacks are zeros.
    size_t bytes = sizeof(float);
    for (int64_t d : shape) bytes *= size_t(d);
    std::vector<char> zeros(bytes - data.bytes());
    ZT_RETURN_IF_ERROR(file->write(zeros.data(), zeros.size()));
    ZT_RETURN_IF_ERROR(file->commit());
    result.files.push_back(job.spec.output);
    return ok_status();
  }
};

class EmbedRunner final : public TensorRunner {
 public:
  using TensorRunner::TensorRunner;
  Status stage(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result, Ending&) override {
    ZT_ASSIGN_OR_RETURN(PreparedJob job, host().begin(spec, JobKind::embed, control));
    result.spec = job.spec;
    ZT_ASSIGN_OR_RETURN(PendingFile probe, PendingFile::create(job.spec.output, job.replace));
    clock.enter(JobState::loading);
    ZT_ASSIGN_OR_RETURN(TextToVideo * pipeline, host().open(job));
    ZT_ASSIGN_OR_RETURN(TokenIds ids, pipeline->tokenize(job.spec.prompt));
    int64_t limit = pipeline->model().max_text_tokens;
    if (ids.truncated) control.note(fmt::format("prompt: longer than the model reads, cut to its first {} tokens", limit));
    int64_t rows = int64_t(ids.ids.size());
    host().set_budget(job, 0);
    ZT_ASSIGN_OR_RETURN(MemoryEstimate memory, pipeline->estimate({16, 16, 1}, rows, false, host().ctx()));
    ZT_RETURN_IF_ERROR(host().admit(memory.text, "text", job, control, result));
    memory.placement.transformer_streamed = false;  // it is not loaded
    ZT_RETURN_IF_ERROR(host().place(memory, control, result));
    clock.enter(JobState::encoding);
    ZT_ASSIGN_OR_RETURN(Tensor embeds, pipeline->embed(ids, host().ctx()));
    if (host().ctx().cancelled()) return {Code::kCancelled, "cancelled"};
    clock.enter(JobState::writing);
    result.numbers["tokens"] = double(rows);
    return save(job, "prompt_embeds", {std::max(limit, rows), embeds.shape()[1]}, embeds, result);
  }
};

class EncodeRunner final : public TensorRunner {
 public:
  EncodeRunner(std::shared_ptr<ModelHost> host, std::string input) : TensorRunner(std::move(host)), input_(std::move(input)) {}
  Status stage(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result, Ending&) override {
    ZT_ASSIGN_OR_RETURN(PreparedJob job, host().begin(spec, JobKind::encode, control));
    JobSpec& s = job.spec;
    ZT_ASSIGN_OR_RETURN(PendingFile probe, PendingFile::create(s.output, job.replace));
    ZT_ASSIGN_OR_RETURN(int64_t available, count_frames());
    ZT_ASSIGN_OR_RETURN(auto reader, open_isolated(input_));
    const ClipInfo info = reader->info();
    clock.enter(JobState::loading);
    ZT_ASSIGN_OR_RETURN(TextToVideo * pipeline, host().open(job));
    const VaeConfig& vae = pipeline->model().vae_config;
    int64_t unit = vae.spatial_factor() * pipeline->model().transformer_config.patch_h, group = vae.temporal_factor();
    ClipShape clip{info.width / unit * unit, info.height / unit * unit, (available - 1) / group * group + 1};
    if (clip.width == 0 || clip.height == 0)
      return invalid("{}: {}x{} is smaller than the {} pixels the model needs", input_, info.width, info.height, unit);
    if (clip.width != info.width || clip.height != info.height) {
      control.note(fmt::format("{}x{} is not a multiple of {}: the middle {}x{} is encoded", info.width, info.height, unit,
                               clip.width, clip.height));
    }
    if (clip.frames != available)
      control.note(fmt::format("{} frames are not {}n + 1: the first {} are encoded", available, group, clip.frames));
    s.size = {clip.width, clip.height}, s.frames = clip.frames, s.fps = info.fps;
    result.spec = s;
    ZT_ASSIGN_OR_RETURN(Shape latent, latent_shape(pipeline->model(), clip));
    VaeMemory memory = vae_encode_memory(vae, latent[2], latent[3], job.compute, host().ctx());
    host().set_budget(job, 0);
    size_t frames_held = size_t(info.width * info.height * 3) * 20;  // f32 and u8 frame, the decoder's references
    ZT_RETURN_IF_ERROR(
        host().admit(memory.total() + size_t(latent.count()) * sizeof(float) + frames_held, "encoder", job, control, result));

    clock.enter(JobState::encoding, clip.frames);
    ZT_ASSIGN_OR_RETURN(Tensor frame, host_arena(host().ctx()).make(DType::f32, {clip.height, clip.width, 3}));
    std::vector<uint8_t> rgb(size_t(info.width * info.height * 3));
    int64_t left = (info.width - clip.width) / 2, top = (info.height - clip.height) / 2, done = 0;
    auto next = [&]() -> Result<TensorView> {
      if (host().ctx().cancelled()) return Status(Code::kCancelled, "cancelled");
      ZT_ASSIGN_OR_RETURN(bool more, reader->next(rgb.data()));
      if (!more) return TensorView();
      float* to = frame.as<float>();
      for (int64_t y = 0; y < clip.height; ++y) {
        const uint8_t* from = rgb.data() + ((top + y) * info.width + left) * 3;
        for (int64_t x = 0; x < clip.width * 3; ++x) *to++ = float(from[x]) / 127.5f - 1.f;
      }
      clock.step(++done);
      return frame.view();
    };
    ZT_ASSIGN_OR_RETURN(Tensor latents, pipeline->encode(clip, next, host().ctx()));
    clock.enter(JobState::writing);
    return save(job, "latents", {latent[0], latent[1], latent[2], latent[3]}, latents, result);
  }

 private:
  // Containers state their length at best; decoding is what counts, and is cheap beside the encoder.
  Result<int64_t> count_frames() {
    ZT_ASSIGN_OR_RETURN(auto reader, open_isolated(input_));
    std::vector<uint8_t> rgb(size_t(reader->info().width * reader->info().height * 3));
    for (int64_t n = 0;; ++n) {
      ZT_ASSIGN_OR_RETURN(bool more, reader->next(rgb.data()));
      if (!more && n == 0) return invalid("{}: no frames in it", input_);
      if (!more || n == kMaxFrames) return n;
      if (host().ctx().cancelled()) return Status(Code::kCancelled, "cancelled");
    }
  }
  std::string input_;
};

class DecodeRunner final : public StageRunner {
 public:
  DecodeRunner(std::shared_ptr<ModelHost> host, std::string input) : StageRunner(std::move(host)), input_(std::move(input)) {}
  Status stage(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result, Ending&) override {
    ZT_ASSIGN_OR_RETURN(PreparedJob job, host().begin(spec, JobKind::decode, control));
    JobSpec& s = job.spec;
    ZT_ASSIGN_OR_RETURN(TextToVideo * pipeline, host().open(job));
    const VaeConfig& vae = pipeline->model().vae_config;
    const ExecContext& ctx = host().ctx();
    ZT_ASSIGN_OR_RETURN(Tensor latents, read_tensor("input", input_, "latents", 4, ctx));
    clock.enter(JobState::loading);
    const Shape& l = latents.shape();
    s.size = {l[3] * vae.spatial_factor(), l[2] * vae.spatial_factor()}, s.frames = (l[1] - 1) * vae.temporal_factor() + 1;
    if (Problem p = validate(s); !p.empty()) return invalid("{}: {}", input_, p);
    ZT_ASSIGN_OR_RETURN(Shape want, latent_shape(pipeline->model(), {s.size.width, s.size.height, s.frames}));
    if (want != l) return invalid("{}: latents {} do not fit the model, which reads {}", input_, l.str(), want.str());
    result.spec = s, result.settings_hash = settings_hash(s);
    ZT_ASSIGN_OR_RETURN(auto output, ClipOutput::open(job));
    host().set_budget(job, clip_output_bytes(s));
    ZT_ASSIGN_OR_RETURN(MemoryEstimate memory, pipeline->estimate({s.size.width, s.size.height, s.frames}, 1, s.vae_tiling == "on", ctx));
    bool tiled = result.tiled_decode = memory.tiled_decode;
    size_t bytes = memory.decode + (ctx.arena->memory() ? 0 : clip_output_bytes(s));  // the encoder works in host memory
    ZT_RETURN_IF_ERROR(host().admit(bytes, tiled ? "decoding in tiles" : "decoding", job, control, result));
    pipeline->place({.together = memory.placement.together});
    ZT_RETURN_IF_ERROR(pipeline->load_decoder(ctx));
    clock.enter(JobState::decoding, s.frames);
    FrameSink sink = [&](const TensorView& frame) {
      ZT_RETURN_IF_ERROR(output->push(frame));
      clock.step(output->frames());
      return ok_status();
    };
    ZT_RETURN_IF_ERROR(pipeline->decode(latents, tiled, sink, ctx));
    clock.enter(JobState::writing);
    if (ctx.cancelled()) return {Code::kCancelled, "cancelled"};
    return output->commit(result.files);
  }

 private:
  std::string input_;
};

}  // namespace

std::unique_ptr<JobRunner> make_embed_runner(std::shared_ptr<ModelHost> host) {
  return std::make_unique<EmbedRunner>(std::move(host));
}
std::unique_ptr<JobRunner> make_encode_runner(std::shared_ptr<ModelHost> host, std::string input) {
  return std::make_unique<EncodeRunner>(std::move(host), std::move(input));
}
std::unique_ptr<JobRunner> make_decode_runner(std::shared_ptr<ModelHost> host, std::string input) {
  return std::make_unique<DecodeRunner>(std::move(host), std::move(input));
}

}  // namespace zt
