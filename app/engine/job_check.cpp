#include "app/engine/job_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/engine/places.h"
#include "app/media/output_file.h"
#include "app/session/job_text.h"
#include "app/session/text.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

// Input files must be readable regular files: a device or a pipe would be read as one.
Status check_input(std::string_view field, const std::string& path) {
  struct stat st;
  if (path.empty()) return ok_status();
  if (stat(path.c_str(), &st) != 0) return invalid("{}: {} does not exist", field, path);
  if (!S_ISREG(st.st_mode)) return invalid("{}: {} is not a regular file", field, path);
  if (access(path.c_str(), R_OK) != 0) return invalid("{}: {} cannot be read", field, path);
  return ok_status();
}

bool is_side_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  std::string text(kMaxTextBytes, '\0');
  text.resize(size_t(f.read(text.data(), std::streamsize(text.size())).gcount()));
  JobSpec ignored;
  return text.find("\"zoetrope\"") != std::string::npos && read_settings(text, ignored).empty();
}

Status check_outputs(PreparedJob& job, JobKind kind) {
  JobSpec& s = job.spec;
  bool replace = job.replace = s.overwrite || s.resume;
  if (kind == JobKind::render || kind == JobKind::decode) {
    ZT_ASSIGN_OR_RETURN(job.format, choose_clip_format(s.output, s.codec, s.crf, s.pix_fmt));
    s.codec = job.format.codec, s.crf = job.format.crf, s.pix_fmt = job.format.pix_fmt;
    if (job.format.target == ClipFormat::Target::image_pattern) {
      std::string taken = existing_output(s.output), place = without_slash(s.output);
      if (!taken.empty() && !replace) return invalid("{}: exists already (--overwrite replaces it)", taken);
      std::error_code error;
      bool folder = names_folder(s.output);
      if (!folder || !std::filesystem::exists(place, error))
        ZT_RETURN_IF_ERROR(check_output(folder ? place : frame_name(s.output, 1), true));
    } else {
      ZT_RETURN_IF_ERROR(check_output(s.output, replace));
    }
    if (!s.no_metadata) {
      job.side_file = side_file_of(s.output);
      // A side file of ours without its clip is what a kill between the two renames leaves: not worth keeping.
      job.replace_side = replace || is_side_file(job.side_file);
      ZT_RETURN_IF_ERROR(check_output(job.side_file, job.replace_side));
    }
  } else {
    ZT_RETURN_IF_ERROR(check_output(s.output, replace));
  }
  std::vector<std::string> names = {s.output, job.side_file};
  for (const std::string& extra : {s.save_latents, s.save_frames, s.report}) {
    if (extra.empty()) continue;
    ZT_RETURN_IF_ERROR(check_output(extra, replace));
    for (const std::string& other : names) {
      if (std::filesystem::path(extra).lexically_normal() == std::filesystem::path(other).lexically_normal())
        return invalid("{}: two outputs have this name", extra);
    }
    names.push_back(extra);
  }
  return ok_status();
}

// A name in the current folder that is free, so that running twice keeps both.
std::string default_output(const JobSpec& s, JobKind kind) {
  std::string stem = kind == JobKind::embed ? "prompt" : kind == JobKind::encode ? "latents" : fmt::format("zoetrope-{}", s.seed);
  std::string extension = kind == JobKind::embed || kind == JobKind::encode ? ".safetensors" : ".mp4";
  std::string name = stem + extension;
  for (int n = 2; access(name.c_str(), F_OK) == 0 && !s.overwrite; ++n) name = fmt::format("{}-{}{}", stem, n, extension);
  return name;
}

}  // namespace

Result<std::string> model_root(const std::string& model, const JobPlaces& places) {
  if (model == JobSpec().model && places.assets.empty())
    return bad_model("model: the embedded model was not found beside the program; set ZOETROPE_ASSETS to the assets folder");
  if (std::string folder = embedded_folder(model, places); !folder.empty()) return folder;
  struct stat st;
  if (stat(model.c_str(), &st) != 0) {
    std::string nearest = model.find('/') == std::string::npos ? closest_name(model, embedded_models(places)) : "";
    return bad_model("model: {} does not exist{}", model, nearest.empty() ? "" : "; did you mean " + nearest + "?");
  }
  if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) return bad_model("model: {} is neither a folder nor a regular file", model);
  return model;
}

Result<PreparedJob> settle_job(const JobSpec& spec, Isa isa, std::vector<std::string>& notes) {
  PreparedJob job;
  job.spec = spec;
  JobSpec& s = job.spec;
  if (Problem p = normalise(s, notes); !p.empty()) return invalid("{}", p);

  if (s.device == "auto") s.device = "cpu";  // whoever has a GPU has said so by now
  if (s.precision == "auto") s.precision = s.device == "cuda" || isa >= Isa::avx512_bf16 ? "bf16" : "f32";
  job.compute = s.precision == "bf16" ? DType::bf16 : DType::f32;
  auto sampler = sampler_from_name(s.sampler);
  auto rng = rng_from_name(s.rng);
  ZT_CHECK(sampler && rng);  // validate knows the same names
  job.sampler = *sampler, job.rng = *rng;
  ZT_ASSIGN_OR_RETURN(job.attention, make_policy(s.attn));
  if (job.attention->chooses() && s.min_recall > 0 && s.attn.find("recall=") == s.attn.npos) {
    s.attn += fmt::format("{}recall={}", s.attn.find(':') == s.attn.npos ? ":" : ",", s.min_recall);
    ZT_ASSIGN_OR_RETURN(job.attention, make_policy(s.attn));
  }
  if (job.attention->name() != "dense" && s.min_psnr > 0) {
    return invalid(
        "min_psnr: a render with {} has no dense clip beside it; render both and use `zoetrope compare`, or take --attn dense",
        job.attention->name());
  }
  return job;
}

Result<PreparedJob> prepare_job(const JobSpec& spec, JobKind kind, const JobPlaces& places, Isa isa,
                                std::vector<std::string>& notes) {
  ZT_ASSIGN_OR_RETURN(PreparedJob job, settle_job(spec, isa, notes));
  JobSpec& s = job.spec;
  if (s.output.empty()) s.output = default_output(s, kind);
  ZT_RETURN_IF_ERROR(check_outputs(job, kind));
  ZT_RETURN_IF_ERROR(check_input("init_latents", s.init_latents));
  ZT_RETURN_IF_ERROR(check_input("text_embeds", s.text_embeds));
  ZT_RETURN_IF_ERROR(check_input("negative_embeds", s.negative_embeds));
  ZT_ASSIGN_OR_RETURN(job.model_root, model_root(s.model, places));
  return job;
}

ExitCode exit_code(Code code) {
  switch (code) {
    case Code::kOk: return ExitCode::done;
    case Code::kFailed: return ExitCode::failed;
    case Code::kInvalid: return ExitCode::invalid;
    case Code::kBadModel: return ExitCode::bad_model;
    case Code::kTooBig: return ExitCode::too_big;
    case Code::kDeviceLost: return ExitCode::device_lost;
    case Code::kCancelled: return ExitCode::interrupted;
  }
  throw Bug("unknown status code");
}

}  // namespace zt
