// Bad input: one clear line, the right exit code, no file left behind. None of these loads a weight.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/app/headless/program.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using namespace zt::testing;

struct Bad {
  std::string name;
  std::vector<std::string> args;
  int code;
  std::string word;  // in the message
};

void PrintTo(const Bad& b, std::ostream* out) { *out << b.name; }

class BadInput : public ::testing::TestWithParam<Bad> {};

TEST_P(BadInput, OneLineRightCodeNoFile) {
  TempFolder dir;
  Finished f = run(dir, GetParam().args);
  EXPECT_EQ(f.code, GetParam().code) << f.err;
  EXPECT_THAT(f.err, HasSubstr(GetParam().word));
  EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err;
  EXPECT_EQ(f.out, "");
  EXPECT_TRUE(dir.entries().empty());
}

std::vector<std::string> render(std::vector<std::string> more) {
  std::vector<std::string> args = {"render", "-p", "a red ball", "-o", "a.mp4"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

INSTANTIATE_TEST_SUITE_P(
    Usage, BadInput,
    ::testing::Values(
        Bad{"no_subcommand", {}, 2, "subcommand"}, Bad{"unknown_subcommand", {"rendr"}, 2, "did you mean render?"},
        Bad{"unknown_flag", render({"--stepz", "3"}), 2, "did you mean --steps?"},
        Bad{"unknown_flag_equals", render({"--fram=3"}), 2, "--frame"},
        Bad{"unknown_short", render({"-z"}), 2, "unknown flag -z"}, Bad{"stray_word", render({"stray"}), 2, "stray"},
        Bad{"missing_value", render({"--steps"}), 2, "--steps"}, Bad{"no_prompt", {"render", "-o", "a.mp4"}, 2, "prompt"},
        Bad{"zero_size", render({"--size", "0x0"}), 2, "size"}, Bad{"negative_size", render({"--size", "-16x16"}), 2, "size"},
        Bad{"odd_size", render({"--size", "100x100"}), 2, "96x96"}, Bad{"zero_width", render({"-W", "0"}), 2, "size"},
        Bad{"billion_frames", render({"--frames", "1000000000"}), 2, "frames"},
        Bad{"zero_frames", render({"--frames", "0"}), 2, "frames"},
        Bad{"huge_frames", render({"--frames", "99999999999999999999"}), 2, "frames"},
        Bad{"nan_guidance", render({"--cfg-scale", "nan"}), 2, "cfg_scale"}, Bad{"inf_fps", render({"--fps", "inf"}), 2, "fps"},
        Bad{"bad_sigmas", render({"--sigmas", "1,0.9,x"}), 2, "sigmas: `1,0.9,x` is not a list of numbers"},
        Bad{"rising_sigmas", render({"--sigmas", "0.5,1"}), 2, "sigmas: 1 stands behind 0.5"},
        Bad{"sigmas_and_steps", render({"--sigmas", "1,0.9,0.75,0.5", "--steps", "20"}), 2, "steps: 20, but sigmas lists 4"},
        Bad{"sigmas_and_shift", render({"--sigmas", "1,0.5", "--flow-shift", "3"}), 2, "flow_shift: 3"},
        Bad{"misspelt_model", render({"--model", "minj"}), 3, "did you mean mini?"},
        Bad{"bad_sampler", render({"--sampler", "heun"}), 2, "sampler"},
        Bad{"bad_attention", render({"--attn", "denze"}), 2, "dense"},
        Bad{"bad_progress", render({"--progress", "xml"}), 2, "progress"},
        Bad{"bad_codec", render({"--codec", "theora"}), 2, "theora"},
        Bad{"wrong_container", render({"--codec", "ffv1"}), 2, ".mkv"},
        Bad{"missing_folder", render({"-o", "none/a.mp4"}), 2, "none"},
        Bad{"proc_folder", render({"-o", "/proc/a.mp4"}), 2, "/proc/a.mp4"},
        Bad{"device_output", render({"-y", "-o", "/dev/null"}), 2, "/dev/null"},
        Bad{"missing_model", render({"--model", "nowhere"}), 3, "nowhere"},
        Bad{"device_model", render({"--model", "/dev/zero"}), 3, "/dev/zero"},
        Bad{"missing_latents", render({"--init-latents", "none"}), 2, "init_latents"},
        Bad{"bad_utf8", {"render", "-p", "caf\xe9", "-o", "a.mp4"}, 2, "UTF-8"},
        Bad{"bad_utf8_negative", render({"-n", "\xff"}), 2, "UTF-8"},
        Bad{"verify_missing", {"models", "verify", "nowhere"}, 3, "nowhere"}, Bad{"encode_nothing", {"encode"}, 2, "input"},
        Bad{"encode_missing", {"encode", "none.mp4", "-o", "l.safetensors"}, 2, "none.mp4"},
        Bad{"decode_missing", {"decode", "none.safetensors", "-o", "a.mp4"}, 2, "none.safetensors"},
        Bad{"embed_no_prompt", {"embed", "-o", "e.safetensors"}, 2, "prompt"}),
    [](const auto& i) { return i.param.name; });

TEST(Usage, CudaDeviceThatIsNotThere) {
  TempFolder dir;
  // Hides the cards of a machine that has some.
  const std::vector<std::string> hidden = {"CUDA_VISIBLE_DEVICES="};
  Finished f = run(dir, render({"--device", "cuda"}), hidden);
  EXPECT_EQ(f.code, 2) << f.err;
  EXPECT_THAT(f.err, HasSubstr("no usable GPU"));
  EXPECT_TRUE(dir.entries().empty());
  f = run(dir, {"doctor", "--json"}, hidden);
  EXPECT_EQ(f.code, 0) << f.err;
  EXPECT_THAT(f.out, HasSubstr("\"cuda\":false,\"gpu\":\"no usable GPU"));
}

TEST(Usage, BadEnvironmentIsNamed) {
  TempFolder dir;
  Finished f = run(dir, render({}), {"ZOETROPE_IMPL=attention=none_such"});
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, HasSubstr("none_such"));
  f = run(dir, render({}), {"ZOETROPE_ASSETS=/nowhere"});
  EXPECT_EQ(f.code, 3);
  EXPECT_THAT(f.err, HasSubstr("/nowhere"));
}

TEST(Usage, ExistingOutputIsKept) {
  TempFolder dir;
  write_all(dir / "a.mp4", "precious");
  Finished f = run(dir, render({}));
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, HasSubstr("--overwrite"));
  EXPECT_EQ(read_all(dir / "a.mp4"), "precious");
}

TEST(Usage, HelpAndVersionGoToStandardOutput) {
  TempFolder dir;
  for (std::vector<std::string> args :
       {std::vector<std::string>{"--help"}, {"render", "--help"}, {"--version"}, {"models", "--help"}}) {
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 0);
    EXPECT_NE(f.out, "");
    EXPECT_EQ(f.err, "");
  }
  EXPECT_THAT(run(dir, {"render", "--help"}).out, HasSubstr("--flow-shift"));
}

TEST(Usage, TablesAsJson) {
  TempFolder dir;
  auto policies = nlohmann::json::parse(run(dir, {"policies", "--json"}).out);
  EXPECT_EQ(policies["policies"][0]["name"], "dense");
  auto doctor = nlohmann::json::parse(run(dir, {"doctor", "--json"}).out);
  for (const char* key : {"version", "cpu", "isa", "threads", "available_memory_mb", "codecs", "implementations"})
    EXPECT_TRUE(doctor.contains(key)) << key;
  auto models = nlohmann::json::parse(run(dir, {"models", "list", "--json"}).out);
  EXPECT_EQ(models["models"][0]["name"], "mini");
  EXPECT_GT(models["models"][0]["transformer_parameters"], 0);
}

// Every spelling must reach the same field: the settings hash of a dry run tells.
TEST(Usage, SpellingsOfOtherPrograms) {
  TempFolder dir;
  auto hash = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--dry-run", "--json"});
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 0) << f.err;
    return f.code == 0 ? nlohmann::json::parse(f.out)["settings_hash"].get<std::string>() : f.err;
  };
  std::string ours = hash({"render", "-p",      "x", "-n",          "blur",      "--size",       "64x32", "--frames",
                           "5",      "--steps", "3", "--cfg-scale", "2",         "--flow-shift", "5",     "--sampler",
                           "dpm++",  "-s",      "7", "--rng",       "torch-cpu", "-o",           "a.mp4"});
  std::string theirs = hash({"-M",         "vid_gen",
                             "--prompt=x", "--negative_prompt",
                             "blur",       "-W",
                             "64",         "-H",
                             "32",         "--video-frames",
                             "5",          "--sample_steps",
                             "3",          "--guidance-scale",
                             "2",          "--sample_shift",
                             "5",          "--sampling-method",
                             "dpmpp",      "--seed",
                             "7",          "--rng",
                             "cpu",        "-t",
                             "1",          "-y",
                             "--fa",       "-o",
                             "b.mp4"});
  EXPECT_EQ(ours, theirs);
  EXPECT_EQ(ours, hash({"render",  "-p",
                        "x",       "-n",
                        "blur",    "--size",
                        "64*32",   "--frame_num",
                        "4",       "--num_inference_steps",
                        "3",       "--sample_guide_scale",
                        "2.0",     "--flow-shift",
                        "5.0",     "--sampler",
                        "dpm++2m", "--base_seed",
                        "7",       "--rng",
                        "torch",   "-o",
                        "c.mp4"}));
  EXPECT_TRUE(dir.entries().empty());
}

TEST(Usage, PromptsOfAnyShape) {
  TempFolder dir;
  auto prompt = [&](std::vector<std::string> how) {
    std::vector<std::string> args = {"render", "-o", "a.mp4", "--dry-run", "--json"};
    args.insert(args.end(), how.begin(), how.end());
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 0) << f.err;
    return f.code == 0 ? nlohmann::json::parse(f.out)["settings"]["prompt"].get<std::string>() : "";
  };
  for (std::string text : {"", "--steps", "[a, b]", "{}", "%d \"quoted\" 'single' \\ $HOME", "-1", "a\nb", "\xf0\x9f\x94\xb4"})
    EXPECT_EQ(prompt({"-p", text}), text);
  write_all(dir / "p.txt", "from a file");
  EXPECT_EQ(prompt({"--prompt-file", "p.txt"}), "from a file");
}

}  // namespace
}  // namespace zt
