#include <chrono>

#include "kernels/api/ops.h"
#include "kernels/api/transfer.h"
#include "model/pipeline/guard.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

// Who makes the steps of a job: at noise levels from `boundary` on the base of a variant, with dense attention.
struct Makers {
  std::function<Result<Transformer*>(bool base)> load;  // may free the other one
  std::shared_ptr<AttentionPolicy> dense;
  double boundary = std::numeric_limits<double>::infinity();
  int64_t max_text_tokens = 0;
};

// One job's tensors and the parts that work on them, between the first step and the last.
class Denoiser {
 public:
  Denoiser(Makers makers, const DenoiseRequest& r, const DenoiseHooks& hooks, const ExecContext& ctx)
      : makers_(std::move(makers)), r_(r), hooks_(hooks), ctx_(ctx), own_(r.attention), dense_(makers_.dense), noise_(r.rng, r.seed) {
    own_.hooks = dense_.hooks = r.hooks;
    own_.records = dense_.records = hooks.records;
  }

  Status begin(const Shape& shape, Schedule schedule) {
    shape_ = shape;
    ZT_ASSIGN_OR_RETURN(sampler_, Sampler::make(r_.sampler, std::move(schedule), shape, ctx_));
    ZT_RETURN_IF_ERROR(use_maker_of(r_.resume ? r_.resume->step : 0));
    ZT_ASSIGN_OR_RETURN(x_, ctx_.arena->make(DType::f32, shape));
    ZT_ASSIGN_OR_RETURN(velocity_, ctx_.arena->make(DType::f32, shape));
    ZT_ASSIGN_OR_RETURN(unguided_, ctx_.arena->make(DType::f32, guided() ? shape : Shape{1}));
    ZT_ASSIGN_OR_RETURN(x0_, ctx_.arena->make(DType::f32, shape));
    if (r_.resume) {
      Status s = restore(*r_.resume, {x_, *sampler_, noise_, *r_.attention}, ctx_);
      if (s.ok()) {
        done_ = saved_ = r_.resume->step;
        return remember();
      }
      if (ctx_.warn) ctx_.warn("resume: " + s.message() + "; starting from the beginning");
    }
    if (r_.init_latents) {
      if (r_.init_latents.shape != shape) {
        return invalid("initial latents are {}, this clip needs {}", r_.init_latents.shape.str(), shape.str());
      }
      return copy_values(r_.init_latents, x_, ctx_);
    }
    ZT_ASSIGN_OR_RETURN(HostWrite drawn, HostWrite::make(x_, ctx_));
    noise_.fill({drawn.view().as<float>(), size_t(shape.count())});
    return drawn.finish(ctx_);
  }

  Result<Tensor> run() {
    while (done_ < r_.steps) {
      Status s = step();
      const bool cut_short = s.code() == Code::kCancelled || s.code() == Code::kDeviceLost;
      if (cut_short && done_ > saved_) save();
      if (!s.ok()) return s;
    }
    if (done_ > saved_) save();
    transformer_->release();
    if (!ctx_.arena->memory()) return std::move(x_);
    ZT_ASSIGN_OR_RETURN(HostCopy made, to_host(x_, ctx_));
    return std::move(made.memory);
  }

 private:
  bool guided() const { return r_.guidance > 1; }
  AttentionDriver& attention() { return base_ ? dense_ : own_; }

  // The transformer of step i, ready; that of the step before has let go of all it held.
  Status use_maker_of(int64_t i) {
    const auto& sigmas = sampler_->schedule().sigmas;
    const bool base = sigmas[size_t(std::min(i, r_.steps - 1))] >= makers_.boundary;
    if (transformer_ && base == base_) return {};
    if (transformer_) transformer_->release();
    text_.reset(), negative_.reset(), transformer_ = nullptr;
    ZT_ASSIGN_OR_RETURN(transformer_, makers_.load(base));
    base_ = base;
    ZT_RETURN_IF_ERROR(transformer_->prepare(shape_, ctx_));
    ZT_ASSIGN_OR_RETURN(text_, transformer_->encode_text(r_.embeds, makers_.max_text_tokens, ctx_));
    if (guided()) {
      ZT_ASSIGN_OR_RETURN(negative_, transformer_->encode_text(r_.negative_embeds, makers_.max_text_tokens, ctx_));
    }
    return {};
  }

  Status predict(int64_t i) {
    ZT_RETURN_IF_ERROR(use_maker_of(i));
    Conditioning cond;
    cond.text = text_.get(), cond.step = i, cond.steps = r_.steps;
    cond.frame_timesteps = {sampler_->schedule().timesteps[size_t(i)]};
    ZT_RETURN_IF_ERROR(transformer_->forward(x_, cond, attention(), velocity_, ctx_));
    if (!guided()) return ok_status();
    cond.text = negative_.get(), cond.branch = Branch::uncond;
    ZT_RETURN_IF_ERROR(transformer_->forward(x_, cond, attention(), unguided_, ctx_));
    double coef[] = {r_.guidance, 1 - r_.guidance};
    TensorView in[] = {velocity_, unguided_};
    affine_sum({coef, in, velocity_}, ctx_);
    return ok_status();
  }

  Status step() {
    auto begin = std::chrono::steady_clock::now();
    int64_t i = done_;
    ZT_RETURN_IF_ERROR(predict(i));
    ZT_ASSIGN_OR_RETURN(HostCopy velocity, to_host(velocity_, ctx_));
    if (std::string what = ill(velocity.view); !what.empty()) return blame(i, "the predicted velocity " + what);
    ZT_RETURN_IF_ERROR(sampler_->step(i, x_, velocity_, noise_, x0_, ctx_));
    ZT_ASSIGN_OR_RETURN(HostCopy x, to_host(x_, ctx_));
    if (std::string what = ill(x.view); !what.empty()) {
      return failed("step {} of {}: the latents {}; a lower --cfg-scale or another --sampler may help", i + 1, r_.steps, what);
    }
    ++done_;
    if (Status s = remember(); !s.ok()) return --done_, s;
    if (hooks_.on_step) {
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      ZT_ASSIGN_OR_RETURN(HostCopy x0, to_host(x0_, ctx_));
      ZT_RETURN_IF_ERROR(hooks_.on_step({i + 1, r_.steps, sampler_->schedule().sigmas[size_t(i)], seconds, x.view, x0.view}));
    }
    if (hooks_.save_every > 0 && done_ % hooks_.save_every == 0) save();
    return ctx_.cancelled() ? Status(Code::kCancelled, "cancelled while denoising") : ok_status();
  }

  // The step once more with a look at every attention: the job is over, so its time does not count, and the healthy path pays
  // nothing.
  Status blame(int64_t i, const std::string& what) {
    FirstBadLayer watch;
    attention().hooks.push_back(&watch);
    attention().records = nullptr;
    Status s = predict(i);
    std::string place = s.ok() ? watch.place() : s.message();
    return failed("step {} of {}: {}, first seen {}{}; the weights or the precision do not suit this job, try --precision f32",
                  i + 1, r_.steps, what, s.ok() && place.starts_with("layer") ? "in " : "", place);
  }

  // What a policy knows changes inside a step, everything else only at its end: its state is taken here, so that a step that
  // is cut short can be taken again. So are tensors of a device, which may be lost before the next step ends.
  Status remember() {
    if (!hooks_.save) return {};
    Kept k;
    auto copy = [&](const TensorView& of) -> Result<TensorView> {
      ZT_ASSIGN_OR_RETURN(HostCopy c, to_host(of, ctx_));
      k.copies.push_back(std::move(c));
      return k.copies.back().view;
    };
    k.state.step = done_, k.state.steps = r_.steps, k.state.noise = noise_.state(), k.state.policy = r_.attention->save();
    ZT_ASSIGN_OR_RETURN(k.state.latents, copy(x_));
    k.state.solver = sampler_->state();
    for (auto& [name, view] : k.state.solver) {
      ZT_ASSIGN_OR_RETURN(view, copy(view));
    }
    kept_ = std::move(k);
    return {};
  }

  void save() {
    if (!hooks_.save) return;
    hooks_.save(kept_.state);
    saved_ = done_;
  }

  Makers makers_;
  Transformer* transformer_ = nullptr;
  bool base_ = false;  // transformer_ is the base's
  Shape shape_;
  const DenoiseRequest& r_;
  const DenoiseHooks& hooks_;
  const ExecContext& ctx_;
  AttentionDriver own_, dense_;
  Noise noise_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<TextContext> text_, negative_;
  Tensor x_, velocity_, unguided_, x0_;
  struct Kept {
    DenoiseState state;
    std::vector<HostCopy> copies;  // what its views show: nothing of its own on a CPU
  } kept_;                         // after the steps that are done
  int64_t done_ = 0, saved_ = 0;  // steps
};

}  // namespace

Result<Schedule> schedule_of(const ModelFolder& model, const DenoiseRequest& r) {
  const SchedulerConfig& s = model.scheduler;
  if (r.sigmas.empty()) return make_schedule(r.sampler, r.steps, r.flow_shift.value_or(s.flow_shift), s.train_timesteps);
  if (int64_t(r.sigmas.size()) != r.steps) return invalid("{} sigmas for {} steps", r.sigmas.size(), r.steps);
  return make_schedule(r.sampler, r.sigmas, s.train_timesteps);
}

Result<Tensor> TextToVideo::denoise(const ClipShape& clip, const DenoiseRequest& r, const DenoiseHooks& hooks, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Shape shape, latent_shape(model_, clip));
  ZT_ASSIGN_OR_RETURN(Schedule schedule, schedule_of(model_, r));
  if (!r.init_latents || r.sampler == SamplerKind::lcm) ZT_RETURN_IF_ERROR(Noise::check(r.rng, shape.count()));
  if (r.resume && r.resume->step == r.steps && r.resume->latents.shape == shape) {  // nothing is left to do
    ZT_ASSIGN_OR_RETURN(Tensor done, host_arena(ctx).make(DType::f32, shape));
    ZT_RETURN_IF_ERROR(copy_values(r.resume->latents, done, ctx));
    return done;
  }
  Makers makers;
  makers.load = [&](bool base) { return transformer_for(base, ctx); };
  makers.max_text_tokens = model_.max_text_tokens;
  ZT_ASSIGN_OR_RETURN(makers.dense, make_policy("dense"));
  if (shares_steps()) makers.boundary = *model_.variant->boundary_ratio;
  Denoiser denoiser(std::move(makers), r, hooks, ctx);
  ZT_RETURN_IF_ERROR(denoiser.begin(shape, std::move(schedule)));
  return denoiser.run();
}

}  // namespace zt
