// JobSpec: all that decides the pixels of a clip, how it is stored and how the job runs. It is what the command line
// fills, what a job file lists, what the window posts and what is stored with each clip.
//
// Every field stands once in the table of job_fields.h, from which flags, job-file keys, stored settings and checks are
// made. Nothing here knows the model: whether a size fits it is the engine's question.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace zt {

struct Size {
  int64_t width = 0, height = 0;
  bool operator==(const Size&) const = default;
};

// Defaults are the preset of the embedded mini model.
struct JobSpec {
  // The pixels.
  std::string prompt, negative_prompt;
  std::string model = "mini";  // "mini" = the embedded model, or the name of one of its variants; else a folder or file
  Size size = {128, 128};
  int64_t frames = 33;
  double seconds = 0;  // 0 = not given; else frames follow from it and fps (normalise)
  double fps = 16;
  int64_t steps = 20;
  double cfg_scale = 4;
  double flow_shift = 0;  // 0 = the model's own
  std::string sampler = "unipc";
  std::vector<double> sigmas;  // noise level of each step, falling, the final 0 left out; empty = the sampler's own
  int64_t seed = 42;  // negative = draw one (normalise)
  std::string rng = "philox";
  std::string attn = "dense";
  std::string precision = "auto", device = "auto";
  std::string vae_tiling = "auto";
  std::string init_latents, text_embeds, negative_embeds;  // files
  double min_recall = 0, min_psnr = 0;

  // The files.
  std::string output;
  std::string codec = "auto";  // auto = what the extension of `output` asks for
  int64_t crf = -1;            // -1 = the codec's default
  std::string pix_fmt = "auto";
  bool no_metadata = false;
  std::string save_latents, save_frames, report;

  // The run: none of these changes a pixel.
  int64_t threads = 0;    // 0 = all CPUs of this process
  double max_memory = 0;  // GiB; 0 = what the machine has
  double max_vram = 0;
  int64_t checkpoint_every = 0;
  bool overwrite = false, resume = false;

  bool operator==(const JobSpec&) const = default;
};

// The fields that name files a job makes.
inline constexpr std::string JobSpec::*kOutputNames[] = {&JobSpec::output, &JobSpec::save_latents, &JobSpec::save_frames,
                                                         &JobSpec::report};

// One line that names the field, or empty when there is nothing to complain about.
using Problem = std::string;

inline constexpr int64_t kSizeStep = 16, kMinSide = 16, kMaxSide = 8192;
// Past this a clip is not one any model of the family makes; refusing by number keeps later products in range.
inline constexpr int64_t kMaxFrames = 10001;
inline constexpr size_t kMaxTextBytes = size_t(1) << 20;

// Nearest 4n + 1, the clip lengths the causal VAE can make.
int64_t snap_frames(int64_t frames);

// Ranges, choices, UTF-8: everything that can be judged without the model. The first problem found.
[[nodiscard]] Problem validate(const JobSpec& spec);

// A list of noise levels says how many steps there are, and is not shifted: gives `steps` and `flow_shift` what follows from
// it, or says that what somebody set (`given`: names of fields) disagrees. Without a list it does nothing.
[[nodiscard]] Problem settle_sigmas(JobSpec& spec, const std::set<std::string>& given);

// validate, then settles what is still open: seconds become frames, frames snap to 4n + 1, a negative seed is drawn.
// `notes` receives one line for the user for each change.
[[nodiscard]] Problem normalise(JobSpec& spec, std::vector<std::string>& notes);

}  // namespace zt
