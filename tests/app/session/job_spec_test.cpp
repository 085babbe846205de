#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/session/job_fields.h"
#include "app/session/job_text.h"
#include "app/session/preset.h"
#include "app/session/sha256.h"
#include "app/session/text.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(JobSpec, DefaultsAreTheMiniPreset) {
  JobSpec s;
  EXPECT_EQ(validate(s), "");
  EXPECT_EQ(s.size, (Size{128, 128}));
  EXPECT_EQ(s.frames, 33);
  EXPECT_EQ(s.fps, 16);
  EXPECT_EQ(s.steps, 20);
  EXPECT_EQ(s.cfg_scale, 4);
  EXPECT_EQ(s.negative_prompt, "");
  EXPECT_EQ(s.seed, 42);
}

TEST(JobSpec, FramesSnapToTheNearestLengthTheModelCanMake) {
  const std::pair<int64_t, int64_t> cases[] = {{1, 1},   {2, 1},   {3, 5},   {5, 5},         {6, 5}, {7, 9},
                                               {16, 17}, {17, 17}, {81, 81}, {10001, 10001}, {-5, 1}};
  for (auto [in, out] : cases) EXPECT_EQ(snap_frames(in), out) << in;
  JobSpec s;
  s.frames = 16;
  std::vector<std::string> notes;
  EXPECT_EQ(normalise(s, notes), "");
  EXPECT_EQ(s.frames, 17);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("17"));
}

TEST(JobSpec, SecondsBecomeFrames) {
  JobSpec s;
  s.seconds = 2;
  std::vector<std::string> notes;
  EXPECT_EQ(normalise(s, notes), "");
  EXPECT_EQ(s.frames, 33);
  EXPECT_EQ(s.seconds, 0);
  s.seconds = 9999;
  EXPECT_THAT(normalise(s, notes), StartsWith("seconds:"));
}

TEST(JobSpec, NegativeSeedIsDrawnAndSaid) {
  JobSpec s;
  s.seed = -1;
  std::vector<std::string> notes;
  EXPECT_EQ(normalise(s, notes), "");
  EXPECT_GE(s.seed, 0);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr(std::to_string(s.seed)));
}

struct BadField {
  std::string field, text;
};

void PrintTo(const BadField& b, std::ostream* out) { *out << b.field; }

class BadFields : public ::testing::TestWithParam<BadField> {};

TEST_P(BadFields, GiveOneLineThatNamesTheField) {
  JobSpec s;
  const Field* f = find_field(GetParam().field);
  ASSERT_NE(f, nullptr);
  Problem p = set_field(s, *f, std::string_view(GetParam().text));
  if (p.empty()) p = validate(s);
  EXPECT_THAT(p, StartsWith(GetParam().field + ":"));
  EXPECT_EQ(p.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    JobSpec, BadFields,
    ::testing::Values(BadField{"size", "0x0"}, BadField{"size", "-16x16"}, BadField{"size", "100x128"},
                      BadField{"size", "16384x16"}, BadField{"size", "128"}, BadField{"size", "x"},
                      BadField{"size", "99999999999999999999x16"}, BadField{"size", "16x16x16"}, BadField{"frames", "0"},
                      BadField{"frames", "-1"}, BadField{"frames", "1000000000"}, BadField{"frames", "2147483648"},
                      BadField{"frames", "1e3"}, BadField{"frames", ""}, BadField{"frames", "99999999999999999999"},
                      BadField{"steps", "0"}, BadField{"steps", "1001"}, BadField{"fps", "0"}, BadField{"fps", "nan"},
                      BadField{"fps", "inf"}, BadField{"fps", "1e999"}, BadField{"cfg_scale", "nan"}, BadField{"cfg_scale", "-1"},
                      BadField{"cfg_scale", "-inf"}, BadField{"flow_shift", "nan"}, BadField{"sampler", "heun"},
                      BadField{"sigmas", "x"}, BadField{"sigmas", "1,"}, BadField{"sigmas", ",1"}, BadField{"sigmas", "1 0.5"},
                      BadField{"sigmas", "1.1"}, BadField{"sigmas", "1,0.5,0.5"}, BadField{"sigmas", "0.5,1"},
                      BadField{"sigmas", "1,0"}, BadField{"sigmas", "1,0,0.5"}, BadField{"sigmas", "-1"}, BadField{"sigmas", "nan"},
                      BadField{"sigmas", "inf"}, BadField{"sigmas", "1,nan"}, BadField{"sigmas", "1e999"},
                      BadField{"rng", "mersenne"}, BadField{"precision", "f16"}, BadField{"device", "tpu"},
                      BadField{"threads", "-1"}, BadField{"max_memory", "-2"}, BadField{"crf", "64"},
                      BadField{"min_recall", "1.5"}, BadField{"seed", "0x12"}, BadField{"seed", "1.5"},
                      BadField{"prompt", "caf\xe9"}, BadField{"prompt", std::string("a\0b", 3)},
                      BadField{"negative_prompt", "\xff"}, BadField{"overwrite", "maybe"}, BadField{"checkpoint_every", "-3"}),
    [](const auto& i) { return i.param.field + "_" + std::to_string(i.index); });

void set(JobSpec& s, const char* field, const char* text) { EXPECT_EQ(set_field(s, *find_field(field), std::string_view(text)), ""); }

TEST(JobSpec, SigmasAreAListInAText) {
  JobSpec s;
  set(s, "sigmas", " 1, 0.90 ,.75,0.5");
  EXPECT_EQ(s.sigmas, (std::vector<double>{1, 0.9, 0.75, 0.5}));
  EXPECT_EQ(validate(s), "");
  EXPECT_EQ(field_value(s, *find_field("sigmas")), "1,0.9,0.75,0.5");
  JobSpec twin;
  set(twin, "sigmas", "1.0,0.9,0.75,0.5");
  EXPECT_EQ(settings_hash(s), settings_hash(twin));
  set(s, "sigmas", " ");
  EXPECT_TRUE(s.sigmas.empty());
  s.sigmas.assign(1001, 0.5);
  EXPECT_THAT(validate(s), HasSubstr("1001 values"));
}

TEST(JobSpec, SigmasSayHowManyStepsThereAre) {
  JobSpec s;
  EXPECT_EQ(settle_sigmas(s, {}), "");
  EXPECT_EQ(s.steps, 20);
  set(s, "sigmas", "1,0.9,0.75,0.5");
  s.flow_shift = 5;
  EXPECT_EQ(settle_sigmas(s, {}), "");
  EXPECT_EQ(s.steps, 4);
  EXPECT_EQ(s.flow_shift, 0);
  EXPECT_EQ(settle_sigmas(s, {"steps", "flow_shift"}), "");
  s.steps = 5;
  EXPECT_THAT(settle_sigmas(s, {"steps"}), StartsWith("steps: 5, but sigmas lists 4"));
  std::vector<std::string> notes;
  EXPECT_THAT(normalise(s, notes), StartsWith("steps: 5"));
  s.steps = 4, s.flow_shift = 3;
  EXPECT_THAT(settle_sigmas(s, {"flow_shift"}), StartsWith("flow_shift: 3"));
}

// A hash from before the field existed: sigmas that nobody gave are not in the settings.
TEST(JobSpec, SigmasNobodyGaveAreNotStored) {
  JobSpec s;
  EXPECT_FALSE(settings_json(s).contains("sigmas"));
  EXPECT_EQ(settings_json(s).size(), size_t(std::count_if(job_fields().begin(), job_fields().end(), [](const Field& f) {
              return f.role != FieldRole::run && f.name != "sigmas";
            })));
  s.sigmas = {1, 0.5};
  EXPECT_EQ(settings_json(s)["sigmas"], "1,0.5");
}

TEST(JobSpec, WrongChoiceNamesTheNearestOne) {
  JobSpec s;
  s.sampler = "unipcc";
  EXPECT_THAT(validate(s), HasSubstr("did you mean unipc?"));
}

TEST(JobSpec, SettingsSurviveTheRoundTrip) {
  JobSpec s;
  s.prompt = "a \"red\" ball, \xf0\x9f\x94\xb4\n\ttwo lines";
  s.negative_prompt = "blur";
  s.size = {832, 480};
  s.frames = 81;
  s.fps = 23.976;
  s.steps = 7;
  s.cfg_scale = 5.5;
  s.flow_shift = 3.25;
  s.sampler = "dpm++";
  s.seed = 9007199254740993;  // 2^53 + 1
  s.attn = "radial:decay=0.2,block=128";
  s.codec = "h265";
  s.crf = 20;
  JobSpec back;
  EXPECT_EQ(read_settings(settings_document(s, "9.9").dump(2), back), "");
  EXPECT_EQ(back, s);
  EXPECT_EQ(settings_hash(back), settings_hash(s));
}

TEST(JobSpec, HashChangesWithPixelsOnly) {
  JobSpec a, b;
  b.output = "elsewhere.mp4", b.threads = 3, b.overwrite = true, b.max_memory = 2;
  EXPECT_EQ(settings_hash(a), settings_hash(b));
  for (const Field& f : job_fields()) {
    if (f.role == FieldRole::run) continue;
    JobSpec c;
    Problem p = std::visit(
        [&](auto m) {
          using T = std::decay_t<decltype(c.*m)>;
          if constexpr (std::is_same_v<T, std::string>) {
            c.*m += "x";
          } else if constexpr (std::is_same_v<T, bool>) {
            c.*m = !(c.*m);
          } else if constexpr (std::is_same_v<T, Size>) {
            (c.*m).width += 16;
          } else if constexpr (std::is_same_v<T, std::vector<double>>) {
            (c.*m).push_back(0.5);
          } else {
            c.*m += 1;
          }
          return Problem();
        },
        f.member);
    EXPECT_EQ(p, "");
    EXPECT_NE(settings_hash(a), settings_hash(c)) << f.name;
  }
}

TEST(JobSpec, ReadSettingsRefusesHostileText) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "not valid JSON"},
      {"[1]", "not a JSON object"},
      {"{\"seed\":1,\"seed\":2}", "stands twice"},
      {"{\"seed\":\"1\"}", "seed:"},
      {"{\"seed\":18446744073709551615}", "seed:"},
      {"{\"seed\":1.5}", "seed:"},
      {"{\"stepz\":3}", "did you mean `steps`"},
      {"{\"prompt\":\"\xff\"}", "not valid JSON"},
      {"{\"prompt\":{\"a\":1}}", "prompt:"},
      {"{\"fps\":1e999}", ""},
      {std::string(100000, '['), ""},
      {std::string(kMaxTextBytes + 1, ' '), "longer than 1 MiB"},
  };
  for (const auto& [text, want] : cases) {
    JobSpec s;
    Problem p = read_settings(text, s);
    EXPECT_NE(p, "") << text.substr(0, 60);
    EXPECT_THAT(p, HasSubstr(want));
  }
}

TEST(JobFile, KeysAreTheFlagsWithUnderscores) {
  JobFile file;
  ASSERT_EQ(read_job_file("[defaults]\nsteps = 8\ncfg_scale = 5\n[[job]]\nprompt = 'a'\nsize = "
                          "'64x32'\n[[job]]\nprompt='b'\nsteps=4\noutput='b.mp4'\n",
                          file),
            "");
  ASSERT_EQ(file.jobs.size(), 2u);
  JobSpec a;
  EXPECT_EQ(apply_keys(file.defaults, a), "");
  EXPECT_EQ(apply_keys(file.jobs[0], a), "");
  EXPECT_EQ(a.steps, 8);
  EXPECT_EQ(a.cfg_scale, 5);
  EXPECT_EQ(a.size, (Size{64, 32}));
}

TEST(JobFile, MistakesAreNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "no [[job]]"},
      {"[[job]]\nstps = 3\n", "did you mean `steps`"},
      {"[[jobs]]\nsteps = 3\n", "did you mean `job`"},
      {"[[job]]\nsteps = 'three'\n", "job 1: steps"},
      {"[[job]]\nsteps = []\n", "job 1: steps"},
      {"[[job]]\nsteps = [[1]]\n", "job 1: steps"},
      {"[[job]]\nsteps = [1, 'a']\n", "job 1: steps"},
      {"[[job]]\nsteps = {a = 1}\n", "job 1: steps"},
      {"[defaults]\nseed = 1.5\n[[job]]\nprompt='a'\n", "[defaults]: seed"},
      {"job = 3\n", "write [[job]]"},
      {"defaults = 3\n[[job]]\nprompt='a'\n", "write [defaults]"},
      {"[[job]]\nprompt = 'a'\nprompt = 'b'\n", "line 3"},
      {"[[job]\n", "line 1"},
      {"[[job]]\nprompt = '\xff'\n", "UTF-8"},
  };
  for (const auto& [text, want] : cases) {
    JobFile file;
    Problem p = read_job_file(text, file);
    EXPECT_THAT(p, HasSubstr(want)) << text;
    EXPECT_EQ(p.find('\n'), std::string::npos);
  }
}

TEST(JobFile, NonFiniteNumbersFailValidation) {
  JobFile file;
  ASSERT_EQ(read_job_file("[[job]]\nprompt='a'\ncfg_scale = nan\n", file), "");
  JobSpec s;
  ASSERT_EQ(apply_keys(file.jobs[0], s), "");
  EXPECT_THAT(validate(s), StartsWith("cfg_scale:"));
}

TEST(Preset, DefaultsAndTrainedRange) {
  Preset p;
  ASSERT_EQ(read_preset("[match]\nlayers = 30\ndim = 1536\n[defaults]\nsize = '832x480'\nsteps = 50\n[trained]\nsizes = "
                        "['480x480', '832x832']\nframes = [1, 81]\n",
                        p),
            "");
  EXPECT_EQ(p.layers, 30);
  EXPECT_EQ(p.defaults["steps"], 50);
  JobSpec s;
  s.size = {832, 480}, s.frames = 81;
  EXPECT_EQ(outside_training(p, s), "");
  s.size = {480, 832};
  EXPECT_EQ(outside_training(p, s), "");
  s.size = {1280, 720};
  EXPECT_THAT(outside_training(p, s), StartsWith("size:"));
  s.size = {832, 480}, s.frames = 85;
  EXPECT_THAT(outside_training(p, s), StartsWith("frames:"));
  EXPECT_THAT(read_preset("[defaults]\nstepz = 3\n", p), HasSubstr("steps"));
}

TEST(Text, Utf8) {
  EXPECT_FALSE(invalid_utf8_at("plain, caf\xc3\xa9, \xe2\x82\xac, \xf0\x9f\x94\xb4"));
  const std::pair<std::string, size_t> bad[] = {
      {"a\x80", 1},        {"\xc0\x80", 0}, {"\xe0\x80\x80", 0}, {"\xed\xa0\x80", 0}, {"ab\xf4\x90\x80\x80", 2},
      {"\xf0\x9f\x94", 0}, {"\xc3", 0},     {"\xff", 0}};
  for (const auto& [text, at] : bad) EXPECT_EQ(invalid_utf8_at(text), at) << text;
}

TEST(Text, ClosestName) {
  EXPECT_EQ(closest_name("stpes", {"steps", "seed"}), "steps");
  EXPECT_EQ(closest_name("qqqqqqqq", {"steps", "seed"}), "");
}

// Vectors of FIPS 180-4's examples.
TEST(Sha256, KnownVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace zt
