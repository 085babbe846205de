// Job files that must be refused, each with the field that its message must name.
#pragma once

#include <string>
#include <vector>

namespace zt::testing {

// Every bad value in [defaults], in [[job]], in a grid and, where a cell can say it, in CSV.
struct BadValue {
  const char* key;
  const char* toml;
  const char* cell;  // null: CSV cannot say it
};

inline constexpr BadValue kBadValues[] = {
    {"size", "'0x0'", "0x0"}, {"size", "'-16x16'", "-16x16"}, {"size", "'100x100'", "100x100"}, {"size", "'2147483648x16'", "2147483648x16"},
    {"size", "'99999999999999999999x16'", "99999999999999999999x16"}, {"size", "'x'", "x"}, {"size", "128", nullptr},
    {"size", "'nanxnan'", "nanxnan"}, {"frames", "0", "0"}, {"frames", "-1", "-1"}, {"frames", "2147483648", "2147483648"},
    {"frames", "1000000000", "1000000000"}, {"frames", "1.5", "1.5"}, {"frames", "'many'", "many"}, {"frames", "true", "true"},
    {"seconds", "nan", "nan"}, {"seconds", "inf", "inf"}, {"seconds", "-1", "-1"}, {"seconds", "1e300", "1e300"}, {"fps", "0", "0"},
    {"fps", "-inf", "-inf"}, {"fps", "nan", "nan"}, {"fps", "1000", "1000"}, {"steps", "0", "0"}, {"steps", "-5", "-5"},
    {"steps", "1001", "1001"}, {"steps", "9223372036854775807", "9223372036854775807"}, {"steps", "''", nullptr},
    {"cfg_scale", "nan", "nan"}, {"cfg_scale", "inf", "inf"}, {"cfg_scale", "-1", "-1"}, {"cfg_scale", "101", "101"},
    {"cfg_scale", "'4'", nullptr}, {"flow_shift", "nan", "nan"}, {"flow_shift", "-1", "-1"}, {"sampler", "'heun'", "heun"},
    {"sampler", "''", nullptr}, {"seed", "1.5", "1.5"}, {"seed", "'x'", "x"}, {"seed", "99999999999999999999", "99999999999999999999"},
    {"sigmas", "'1,x'", nullptr}, {"sigmas", "'0.5 1'", "0.5 1"}, {"sigmas", "1", nullptr}, {"sigmas", "'2'", "2"}, {"sigmas", "'nan'", "nan"},
    {"sigmas", "'-1'", "-1"}, {"sigmas", "'1,0.5,0.5'", "\"1,0.5,0.5\""}, {"sigmas", "'1,0'", "\"1,0\""}, {"sigmas", "'1,,0.5'", "\"1,,0.5\""},
    {"rng", "'mt'", "mt"}, {"precision", "'f64'", "f64"}, {"device", "'tpu'", "tpu"}, {"vae_tiling", "'off'", "off"},
    {"min_recall", "2", "2"}, {"min_recall", "nan", "nan"}, {"min_psnr", "-1", "-1"}, {"crf", "64", "64"}, {"crf", "-2", "-2"},
    {"threads", "-1", "-1"}, {"threads", "100000", "100000"}, {"max_memory", "nan", "nan"}, {"max_memory", "-1", "-1"},
    {"checkpoint_every", "-1", "-1"}, {"checkpoint_every", "1001", "1001"}, {"overwrite", "1", "1"}, {"no_metadata", "'yes'", "yes"},
    {"model", "''", nullptr}, {"prompt", "1", nullptr}, {"prompt", "\"a\\u0000b\"", nullptr}, {"prompt", "{a = 1}", nullptr},
    {"prompt", "1979-05-27", nullptr}, {"output", "'/tmp/x.mp4'", "/tmp/x.mp4"}, {"output", "'../x.mp4'", "../x.mp4"},
    {"output", "'a/../../x.mp4'", "a/../../x.mp4"}, {"output", "'a/..'", "a/.."}, {"output", "'.x.mp4'", ".x.mp4"},
    {"output", "'a//x.mp4'", "a//x.mp4"}, {"output", "'./x.mp4'", "./x.mp4"}, {"output", "'~/x.mp4'", "~/x.mp4"},
    {"output", "'-o.mp4'", "-o.mp4"}, {"output", "'$(id).mp4'", "$(id).mp4"}, {"output", "'a;b.mp4'", "a;b.mp4"},
    {"output", "'a|b.mp4'", "a|b.mp4"}, {"output", "'`id`.mp4'", "`id`.mp4"}, {"output", "'a\\b.mp4'", "a\\b.mp4"},
    {"output", "\"a\\nb.mp4\"", "\"a\nb.mp4\""}, {"output", "\"a\\u0000b.mp4\"", nullptr}, {"output", "\"\\u001b[31m.mp4\"", "\x1b[31m.mp4"},
    {"output", "'{sed}.mp4'", "{sed}.mp4"}, {"output", "'{seed.mp4'", "{seed.mp4"}, {"output", "7", nullptr},
    {"save_latents", "'/x'", "/x"}, {"save_latents", "'../x'", "../x"}, {"save_frames", "'/x'", "/x"}, {"report", "'../x'", "../x"},
};

struct HostileJob {
  std::string text, field;
  bool csv = false;
};

inline std::vector<HostileJob> hostile_jobs() {
  std::vector<HostileJob> files;
  for (const BadValue& b : kBadValues) {
    std::string line = std::string(b.key) + " = " + b.toml + "\n", prompt = std::string(b.key) == "prompt" ? "" : "prompt = 'a'\n";
    files.push_back({"[[job]]\n" + prompt + line, b.key});
    files.push_back({"[defaults]\n" + line + "[[job]]\n" + prompt, b.key});
    files.push_back({"[[job]]\n" + prompt + b.key + " = [" + b.toml + "]\n", b.key});
    if (b.cell) files.push_back({std::string("prompt,") + b.key + "\na," + b.cell + "\n", b.key, true});
  }
  return files;
}

}  // namespace zt::testing
