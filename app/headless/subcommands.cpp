#include "app/headless/subcommand.h"

namespace zt {

const std::vector<Subcommand>& subcommands() {
  static const std::vector<Subcommand> table = {
      {"render", "one job, one clip", setup_render},
      {"batch", "a queue of jobs from a file: durable, resumable, shared by several workers", setup_batch},
      {"embed", "prompt to text embedding", setup_embed},
      {"encode", "video to latents", setup_encode},
      {"decode", "latents to video", setup_decode},
      {"verify", "render a clip again from the settings stored in it and compare", setup_verify},
      {"models", "list models, verify one", setup_models},
      {"plan", "the plan of an attention method on a grid: counts, masks, picture", setup_plan},
      {"attn", "an attention method on tensors of a file: output, log-sum-exps, speed, recall", setup_attn},
      {"policies", "list attention methods", setup_policies},
      {"inspect", "render and look at its attention: heat maps by step, layer and head, report.html", setup_inspect},
      {"compare", "two clips, or one job under two settings: PSNR, SSIM, difference clips", setup_compare},
      {"doctor", "check this machine", setup_doctor},
      {"bench", "speed of ops, attention and renders beside the machine's own matrix product", setup_bench},
  };
  return table;
}

}  // namespace zt
