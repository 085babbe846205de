// Latents as colours: a linear map of the channels, the cheap look at what a model is drawing.
#pragma once

#include <vector>

#include "app/session/clip_frames.h"
#include "model/pipeline/text_to_video.h"

namespace zt {

class LatentColours {
 public:
  // Least squares of colours on latents, from one picture that the model's own encoder has seen.
  static Result<LatentColours> fit(TextToVideo& pipeline, const ExecContext& ctx);
  // A pixel per latent of [C, T, h, w] f32.
  Clip picture(const TensorView& latents, double fps) const;

 private:
  std::vector<float> map_;  // [C + 1, 3]: weights of the channels, then the constant
};

}  // namespace zt
