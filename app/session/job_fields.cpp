#include "app/session/job_fields.h"

#include <fmt/format.h>

#include <charconv>

#include "app/session/text.h"

namespace zt {
namespace {

using S = JobSpec;
constexpr auto kPixels = FieldRole::pixels;
constexpr auto kEncoding = FieldRole::encoding;
constexpr auto kRun = FieldRole::run;

// A row a field.
// clang-format off
std::vector<Field> make_fields() {
  return {
      {"prompt", kPixels, &S::prompt, "what to draw; - reads it from standard input", "TEXT", 0, 0, {}},
      {"negative_prompt", kPixels, &S::negative_prompt, "what to steer away from", "TEXT", 0, 0, {}},
      {"model", kPixels, &S::model, "model or variant: a folder, or the name of an embedded one (`zoetrope models`)", "DIR|FILE", 0, 0, {}},
      {"size", kPixels, &S::size, "width and height in pixels, multiples of 16", "WxH", double(kMinSide), double(kMaxSide), {}},
      {"frames", kPixels, &S::frames, "clip length, snapped to 4n + 1", "N", 1, double(kMaxFrames), {}},
      {"seconds", kRun, &S::seconds, "clip length in seconds instead of --frames", "S", 0, 1e4, {}},
      {"fps", kPixels, &S::fps, "frames a second", "F", 0.1, 240, {}},
      {"steps", kPixels, &S::steps, "denoising steps", "N", 1, 1000, {}},
      {"cfg_scale", kPixels, &S::cfg_scale, "guidance; 1 and less skip the second pass", "G", 0, 100, {}},
      {"flow_shift", kPixels, &S::flow_shift, "shift of the noise schedule; 0 = the model's own", "S", 0, 100, {}},
      {"sampler", kPixels, &S::sampler, "solver", "NAME", 0, 0, {"unipc", "euler", "dpm++", "lcm"}},
      {"sigmas", kPixels, &S::sigmas, "noise level of each step, falling from at most 1, such as 1,0.9,0.75,0.5 (0 follows); empty = the sampler's own",
       "S,S,...", 0, 1, {}, true},
      {"seed", kPixels, &S::seed, "start noise; negative draws one", "N", -9.3e18, 9.3e18, {}},
      {"rng", kPixels, &S::rng, "noise generator; torch-cuda: torch's numbers on an H100, up to 1081344 latent elements (an RTX 4090's up to 196608)",
       "NAME", 0, 0, {"philox", "torch-cpu", "torch-cuda"}},
      {"attn", kPixels, &S::attn, "attention method, name[:key=value,...] (see `zoetrope policies`)", "SPEC", 0, 0, {}},
      {"precision", kPixels, &S::precision, "arithmetic of the network", "NAME", 0, 0, {"auto", "f32", "bf16"}},
      {"device", kPixels, &S::device, "where to compute", "NAME", 0, 0, {"auto", "cpu", "cuda"}},
      {"vae_tiling", kPixels, &S::vae_tiling, "decode in tiles: less memory, seams blended", "NAME", 0, 0, {"auto", "on"}},
      {"init_latents", kPixels, &S::init_latents, "noise to start from: safetensors, `latents` [C, T, H, W] f32", "FILE", 0, 0, {}},
      {"text_embeds", kPixels, &S::text_embeds, "prompt as embedding: safetensors, `prompt_embeds` [L, C]", "FILE", 0, 0, {}},
      {"negative_embeds", kPixels, &S::negative_embeds, "the same for the negative prompt", "FILE", 0, 0, {}},
      {"min_recall", kPixels, &S::min_recall, "attention mass a sparse plan must keep", "R", 0, 1, {}},
      {"min_psnr", kPixels, &S::min_psnr, "PSNR against dense attention to keep", "DB", 0, 100, {}},
      {"output", kRun, &S::output, "clip to write; the extension picks the container", "OUT", 0, 0, {}},
      {"codec", kEncoding, &S::codec, "h264, h265, av1, vp9, prores, ffv1, png, gif; auto follows the extension", "NAME", 0, 0, {}},
      {"crf", kEncoding, &S::crf, "quality of the encoder, lower is better; -1 = its default", "N", -1, 63, {}},
      {"pix_fmt", kEncoding, &S::pix_fmt, "pixel format of the clip; auto = the codec's default", "NAME", 0, 0, {}},
      {"no_metadata", kRun, &S::no_metadata, "store no settings: no comment, no side file", "", 0, 0, {}},
      {"save_latents", kRun, &S::save_latents, "also write the final latents, before decoding", "FILE", 0, 0, {}},
      {"save_frames", kRun, &S::save_frames, "also write the raw frames, `frames` [T, H, W, 3] u8", "FILE", 0, 0, {}},
      {"report", kRun, &S::report, "write plan, density and time of every attention as JSON", "FILE", 0, 0, {}},
      {"threads", kRun, &S::threads, "compute threads; 0 = all CPUs", "N", 0, 1024, {}},
      {"max_memory", kRun, &S::max_memory, "refuse above this many GiB; 0 = what the machine has", "GIB", 0, 1e6, {}},
      {"max_vram", kRun, &S::max_vram, "use at most this many GiB of device memory, streaming weights that do not fit; 0 = what is free", "GIB", 0, 1e6, {}},
      {"checkpoint_every", kRun, &S::checkpoint_every, "store resumable state every N steps", "N", 0, 1000, {}},
      {"overwrite", kRun, &S::overwrite, "replace existing files", "", 0, 0, {}},
      {"resume", kRun, &S::resume, "go on from a checkpoint of the same settings", "", 0, 0, {}},
  };
}
// clang-format on

const std::vector<Field>& table() {
  static const std::vector<Field> fields = make_fields();
  return fields;
}

template <class T>
bool parse_number(std::string_view text, T& out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_size(std::string_view text, Size& out) {
  size_t cross = text.find_first_of("xX*");
  return cross != std::string_view::npos && parse_number(text.substr(0, cross), out.width) &&
         parse_number(text.substr(cross + 1), out.height);
}

// Numbers with commas between them; none in an empty text.
bool parse_list(std::string_view text, std::vector<double>& out) {
  out.clear();
  auto blank = [](char c) { return c == ' ' || c == '\t'; };
  auto trim = [&](std::string_view s) {
    while (!s.empty() && blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && blank(s.back())) s.remove_suffix(1);
    return s;
  };
  if (trim(text).empty()) return true;
  for (;;) {
    size_t comma = text.find(',');
    double value = 0;
    if (!parse_number(trim(text.substr(0, comma)), value)) return false;
    out.push_back(value);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

Problem wrong(const Field& f, std::string_view want, std::string_view got) {
  return std::string(f.name) + ": `" + quotable_text(got) + "` is not " + std::string(want);
}

}  // namespace

std::span<const Field> job_fields() { return table(); }

const Field* find_field(std::string_view name) {
  for (const Field& f : table()) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

std::vector<std::string> field_names() {
  std::vector<std::string> names;
  for (const Field& f : table()) names.emplace_back(f.name);
  return names;
}

Problem set_field(JobSpec& spec, const Field& field, std::string_view text) {
  struct Setter {
    JobSpec& spec;
    const Field& field;
    std::string_view text;
    Problem operator()(std::string S::*m) const { return spec.*m = std::string(text), Problem(); }
    Problem operator()(int64_t S::*m) const {
      return parse_number(text, spec.*m) ? Problem() : wrong(field, "a whole number", text);
    }
    Problem operator()(double S::*m) const { return parse_number(text, spec.*m) ? Problem() : wrong(field, "a number", text); }
    Problem operator()(bool S::*m) const {
      if (text != "true" && text != "false") return wrong(field, "true or false", text);
      return spec.*m = text == "true", Problem();
    }
    Problem operator()(Size S::*m) const {
      return parse_size(text, spec.*m) ? Problem() : wrong(field, "WIDTHxHEIGHT, such as 128x128", text);
    }
    Problem operator()(std::vector<double> S::*m) const {
      return parse_list(text, spec.*m) ? Problem() : wrong(field, "a list of numbers, such as 1,0.9,0.75,0.5", text);
    }
  };
  return std::visit(Setter{spec, field, text}, field.member);
}

Problem set_field(JobSpec& spec, const Field& field, const nlohmann::json& value) {
  struct Setter {
    JobSpec& spec;
    const Field& field;
    const nlohmann::json& value;
    Problem operator()(std::string S::*m) const {
      if (!value.is_string()) return wrong(field, "text", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return spec.*m = value.get<std::string>(), Problem();
    }
    Problem operator()(int64_t S::*m) const {
      bool fits = value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX));
      if (!fits) return wrong(field, "a whole number", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return spec.*m = value.get<int64_t>(), Problem();
    }
    Problem operator()(double S::*m) const {
      if (!value.is_number())
        return wrong(field, "a number", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return spec.*m = value.get<double>(), Problem();
    }
    Problem operator()(bool S::*m) const {
      if (!value.is_boolean())
        return wrong(field, "true or false", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return spec.*m = value.get<bool>(), Problem();
    }
    Problem operator()(Size S::*) const {
      if (!value.is_string())
        return wrong(field, "text such as \"128x128\"", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return set_field(spec, field, std::string_view(value.get_ref<const std::string&>()));
    }
    Problem operator()(std::vector<double> S::*) const {
      if (!value.is_string())
        return wrong(field, "text such as \"1,0.9,0.75,0.5\"", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return set_field(spec, field, std::string_view(value.get_ref<const std::string&>()));
    }
  };
  return std::visit(Setter{spec, field, value}, field.member);
}

nlohmann::json field_value(const JobSpec& spec, const Field& field) {
  return std::visit(
      [&](auto m) -> nlohmann::json {
        if constexpr (std::is_same_v<decltype(m), Size S::*>) {
          return std::to_string((spec.*m).width) + "x" + std::to_string((spec.*m).height);
        } else if constexpr (std::is_same_v<decltype(m), std::vector<double> S::*>) {
          return fmt::format("{}", fmt::join(spec.*m, ","));
        } else {
          return spec.*m;
        }
      },
      field.member);
}

}  // namespace zt
