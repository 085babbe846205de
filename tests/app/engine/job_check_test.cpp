// What is refused before any work, with which exit code and which word in the message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "app/engine/job_check.h"
#include "app/engine/presets.h"
#include "app/session/job_text.h"
#include "tests/app/temp_folder.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using zt::testing::TempFolder;
using zt::testing::write_all;

class JobCheck : public ::testing::Test {
 protected:
  JobSpec good() {
    JobSpec s;
    s.prompt = "a red ball";
    s.output = dir / "a.mp4";
    return s;
  }
  Result<PreparedJob> prepare(const JobSpec& s, Isa isa = Isa::avx2) {
    notes.clear();
    return prepare_job(s, JobKind::render, {ZT_SOURCE_DIR "/assets", "1.0"}, isa, notes);
  }
  void refused(const JobSpec& s, Code code, const std::string& word) {
    auto r = prepare(s);
    ASSERT_FALSE(r.ok()) << word;
    EXPECT_EQ(r.status().code(), code) << r.status().message();
    EXPECT_THAT(r.status().message(), HasSubstr(word));
    EXPECT_EQ(r.status().message().find('\n'), std::string::npos);
  }
  TempFolder dir;
  std::vector<std::string> notes;
};

TEST_F(JobCheck, LeavesNothingOpen) {
  JobSpec s = good();
  s.frames = 16, s.seed = -1;
  auto r = prepare(s, Isa::avx512_bf16);
  ASSERT_TRUE(r.ok()) << r.status().message();
  EXPECT_EQ(r->spec.frames, 17);
  EXPECT_GE(r->spec.seed, 0);
  EXPECT_EQ(r->spec.precision, "bf16");
  EXPECT_EQ(r->spec.device, "cpu");
  EXPECT_EQ(r->spec.codec, "h264");
  EXPECT_EQ(r->side_file, dir / "a.json");
  EXPECT_EQ(notes.size(), 2u);
  EXPECT_EQ(prepare(good(), Isa::avx2)->spec.precision, "f32");
}

TEST_F(JobCheck, OutputWithoutNameGoesToTheCurrentFolder) {
  JobSpec s = good();
  s.output.clear();
  auto r = prepare(s);
  ASSERT_TRUE(r.ok()) << r.status().message();
  EXPECT_EQ(r->spec.output, "zoetrope-42.mp4");
}

TEST_F(JobCheck, Refusals) {
  JobSpec s = good();
  s.attn = "dens";
  refused(s, Code::kInvalid, "dense");
  s = good(), s.codec = "theora";
  refused(s, Code::kInvalid, "theora");
  s = good(), s.output = dir / "missing/a.mp4";
  refused(s, Code::kInvalid, "does not exist");
  s = good(), s.output = dir.path();
  s.codec = "h264";
  refused(s, Code::kInvalid, "folder");
  s = good(), s.save_latents = s.output;
  refused(s, Code::kInvalid, "two outputs");
  s = good(), s.save_frames = dir / "./a.json";
  refused(s, Code::kInvalid, "two outputs");
  s = good(), s.init_latents = dir / "none.safetensors";
  refused(s, Code::kInvalid, "init_latents");
  s = good(), s.text_embeds = "/dev/zero";
  refused(s, Code::kInvalid, "regular");
  s = good(), s.model = dir / "none";
  refused(s, Code::kBadModel, "does not exist");
  s = good(), s.model = "/dev/null";
  refused(s, Code::kBadModel, "neither");
  s = good(), s.attn = "radial", s.min_psnr = 30;
  refused(s, Code::kInvalid, "zoetrope compare");
  s = good(), s.frames = 1000000000;
  refused(s, Code::kInvalid, "frames");
}

TEST_F(JobCheck, ExistingOutputsNeedOverwrite) {
  JobSpec s = good();
  write_all(s.output, "clip");
  refused(s, Code::kInvalid, "--overwrite");
  s.overwrite = true;
  EXPECT_TRUE(prepare(s).ok());
  s = good(), s.output = dir / "b.mp4", s.save_latents = dir / "a.mp4";
  refused(s, Code::kInvalid, "--overwrite");
}

TEST_F(JobCheck, SideFileOfAnotherProgramIsKept) {
  write_all(dir / "a.json", "{\"mine\": 1}");
  refused(good(), Code::kInvalid, "--overwrite");
  write_all(dir / "a.json", settings_document(good(), "1.0").dump(2));
  EXPECT_TRUE(prepare(good()).ok());
}

TEST_F(JobCheck, PresetsFillWhatNobodySet) {
  JobPlaces places{ZT_SOURCE_DIR "/assets", "1.0"};
  for (const char* name : {"mini", "wan2.1-t2v-1.3b", "wan2.1-t2v-14b"}) {
    Preset p;
    EXPECT_EQ(read_preset(zt::testing::read_all(places.assets + "/presets/" + name + ".toml"), p), "") << name;
  }
  JobSpec mini;
  ASSERT_TRUE(apply_preset(mini, {}, places).ok());
  EXPECT_EQ(mini, JobSpec()) << "the preset of the embedded model is what JobSpec starts with";
  mini.steps = 3;
  ASSERT_TRUE(apply_preset(mini, {"steps"}, places).ok());
  EXPECT_EQ(mini.steps, 3);
}

TEST_F(JobCheck, MissingAssetsAreAModelError) {
  auto r = prepare_job(good(), JobKind::render, {"", "1.0"}, Isa::avx2, notes);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.status().code(), Code::kBadModel);
  EXPECT_THAT(r.status().message(), HasSubstr("ZOETROPE_ASSETS"));
}

}  // namespace
}  // namespace zt
