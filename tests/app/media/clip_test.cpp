// What goes into a clip comes back out: colours, tags, frame count, rate, settings; and a clip is there whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "app/media/clip_reader.h"
#include "app/media/clip_writer.h"
#include "app/media/output_file.h"
#include "app/media/tensor_file.h"
#include "model/io/safetensors.h"
#include "tests/app/temp_folder.h"

// Under AddressSanitizer: libx265 3.5 keeps its parameter strings after its encoder is closed.
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265"; }

namespace zt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using zt::testing::read_all;
using zt::testing::TempFolder;
using zt::testing::write_all;

constexpr int kW = 96, kH = 64, kFrames = 9;
constexpr std::array<std::array<uint8_t, 3>, 6> kBars = {
    {{235, 16, 16}, {16, 235, 16}, {16, 16, 235}, {200, 200, 40}, {128, 128, 128}, {250, 250, 250}}};

// Six bars of 16 pixels, each a plain colour; in every frame a grey bar more is dimmed so that frames differ.
std::vector<uint8_t> bars(int frame) {
  std::vector<uint8_t> rgb(size_t(kW) * kH * 3);
  for (int y = 0; y < kH; ++y) {
    for (int x = 0; x < kW; ++x) {
      for (size_t c = 0; c < 3; ++c)
        rgb[size_t(y * kW + x) * 3 + c] = uint8_t(y < kH / 2 ? kBars[size_t(x / 16)][c] : 20 + 20 * frame);
    }
  }
  return rgb;
}

ClipSettings settings(const std::string& output, const std::string& codec = "auto") {
  ClipSettings s;
  s.output = output;
  auto format = choose_clip_format(output, codec, -1, "auto");
  EXPECT_TRUE(format.ok()) << format.status().message();
  if (format.ok()) s.format = *format;
  s.width = kW, s.height = kH, s.frames = kFrames, s.fps = 16,
  s.comment = R"({"prompt":"bars, \"quoted\" \u00e9 caf\u00e9","seed":7})";
  return s;
}

void write_clip(const ClipSettings& s) {
  auto writer = ClipWriter::open(s);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  for (int i = 0; i < kFrames; ++i) {
    Status st = (*writer)->push(bars(i));
    ASSERT_TRUE(st.ok()) << st.message();
  }
  Status st = (*writer)->finish();
  ASSERT_TRUE(st.ok()) << st.message();
  st = (*writer)->commit();
  ASSERT_TRUE(st.ok()) << st.message();
}

struct ReadBack {
  ClipInfo info;
  std::vector<std::vector<uint8_t>> frames;
};

ReadBack read_clip(const std::string& path) {
  ReadBack r;
  auto reader = ClipReader::open(path);
  EXPECT_TRUE(reader.ok()) << reader.status().message();
  if (!reader.ok()) return r;
  r.info = (*reader)->info();
  for (;;) {
    std::vector<uint8_t> frame(size_t(r.info.width * r.info.height * 3));
    auto more = (*reader)->next(frame.data());
    EXPECT_TRUE(more.ok()) << more.status().message();
    if (!more.ok() || !*more) break;
    r.frames.push_back(std::move(frame));
  }
  return r;
}

// Largest difference over the inner 8 pixels of each bar (bars' edges share chroma samples) and the lower half.
int worst_error(const std::vector<uint8_t>& got, const std::vector<uint8_t>& want) {
  int worst = 0;
  for (int y = 0; y < kH; ++y) {
    if (y >= kH / 2 - 6 && y < kH / 2 + 6) continue;
    for (int x = 0; x < kW; ++x) {
      if (y < kH / 2 && (x % 16 < 4 || x % 16 >= 12)) continue;
      for (int c = 0; c < 3; ++c) {
        size_t i = size_t(y * kW + x) * 3 + size_t(c);
        worst = std::max(worst, std::abs(int(got[i]) - int(want[i])));
      }
    }
  }
  return worst;
}

struct Kind {
  std::string file, codec;
  int levels;   // allowed colour error
  bool tagged;  // BT.709 limited range
  bool comment;
};

void PrintTo(const Kind& k, std::ostream* out) { *out << k.file; }

class Clips : public ::testing::TestWithParam<Kind> {};

TEST_P(Clips, RoundTrip) {
  TempFolder dir;
  const Kind& k = GetParam();
  ClipSettings s = settings(dir / k.file, k.codec);
  if (s.format.crf > 10) s.format.crf = 10;  // the colour path is the subject, not the quantiser
  write_clip(s);
  EXPECT_THAT(dir.entries(), ElementsAre(k.file));
  ReadBack r = read_clip(dir / k.file);
  EXPECT_EQ(r.info.width, kW);
  EXPECT_EQ(r.info.height, kH);
  EXPECT_NEAR(r.info.fps, 16, k.codec == "auto" && k.file == "g.gif" ? 0.35 : 1e-6);  // GIF counts hundredths of a second
  ASSERT_EQ(r.frames.size(), size_t(kFrames));
  for (int i = 0; i < kFrames; ++i) EXPECT_LE(worst_error(r.frames[size_t(i)], bars(i)), k.levels) << "frame " << i;
  if (k.tagged) {
    EXPECT_EQ(r.info.matrix, "bt709");
    EXPECT_EQ(r.info.primaries, "bt709");
    EXPECT_EQ(r.info.transfer, "bt709");
    EXPECT_EQ(r.info.range, "tv");
  }
  if (k.comment) {
    EXPECT_EQ(r.info.comment, s.comment);
  }
}

INSTANTIATE_TEST_SUITE_P(Media, Clips,
                         ::testing::Values(Kind{"a.mp4", "auto", 3, true, true}, Kind{"b.mkv", "h264", 3, true, true},
                                           Kind{"c.mkv", "ffv1", 0, false, true}, Kind{"d.mov", "prores", 3, true, true},
                                           Kind{"e.mp4", "h265", 4, true, true}, Kind{"f.webm", "vp9", 4, true, true},
                                           Kind{"g.gif", "auto", 8, false, false}, Kind{"h.mp4", "av1", 4, true, true}),
                         [](const auto& i) {
                           return i.param.file.substr(0, 1) + "_" + i.param.file.substr(2) + "_" + i.param.codec;
                         });

TEST(Media, FFV1IsLosslessEverywhere) {
  TempFolder dir;
  write_clip(settings(dir / "a.mkv", "ffv1"));
  ReadBack r = read_clip(dir / "a.mkv");
  ASSERT_EQ(r.frames.size(), size_t(kFrames));
  for (int i = 0; i < kFrames; ++i) EXPECT_EQ(r.frames[size_t(i)], bars(i));
}

TEST(Media, SameFramesSameBytes) {
  TempFolder dir;
  for (const char* name : {"1.mp4", "2.mp4", "1.mkv", "2.mkv", "1.gif", "2.gif"}) write_clip(settings(dir / name));
  for (const char* ext : {".mp4", ".mkv", ".gif"}) {
    EXPECT_EQ(read_all(dir / (std::string("1") + ext)), read_all(dir / (std::string("2") + ext))) << ext;
  }
}

TEST(Media, Mp4StartsWithItsIndex) {
  TempFolder dir;
  write_clip(settings(dir / "a.mp4"));
  std::string bytes = read_all(dir / "a.mp4");
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));
  EXPECT_NE(bytes.find("colrnclx"), std::string::npos);
}

TEST(Media, NameWithColonAndSpaces) {
  TempFolder dir;
  write_clip(settings(dir / "a: b %c.mp4"));
  EXPECT_THAT(dir.entries(), ElementsAre("a: b %c.mp4"));
  EXPECT_EQ(read_clip(dir / "a: b %c.mp4").frames.size(), size_t(kFrames));
}

TEST(Media, ImagePattern) {
  TempFolder dir;
  write_clip(settings(dir / "f_%03d.png"));
  EXPECT_EQ(dir.entries().size(), size_t(kFrames));
  EXPECT_TRUE(dir.entries().count("f_001.png"));
  EXPECT_TRUE(dir.entries().count("f_009.png"));
  ReadBack r = read_clip(dir / "f_%03d.png");
  ASSERT_EQ(r.frames.size(), size_t(kFrames));
  for (int i = 0; i < kFrames; ++i) EXPECT_EQ(r.frames[size_t(i)], bars(i));
}

TEST(Media, ImageFolder) {
  TempFolder dir;
  write_clip(settings(dir / "shots/"));
  EXPECT_THAT(dir.entries(), ElementsAre("shots"));
  EXPECT_EQ(read_clip(dir / "shots/%04d.png").frames.size(), size_t(kFrames));
}

TEST(Media, OneImageTakesOneFrame) {
  TempFolder dir;
  auto w = ClipWriter::open(settings(dir / "a.png"));
  ASSERT_FALSE(w.ok());
  EXPECT_EQ(w.status().code(), Code::kInvalid);
  EXPECT_THAT(w.status().message(), HasSubstr("%03d"));
  EXPECT_TRUE(dir.entries().empty());
}

TEST(Media, FormatMistakesAreUsageErrors) {
  const std::array<std::array<std::string, 4>, 9> cases = {{{"a.mp4", "ffv1", "auto", ".mkv"},
                                                            {"a.mp4", "theora", "auto", "unknown"},
                                                            {"a.txt", "auto", "auto", ".txt"},
                                                            {"no_extension", "auto", "auto", ".mp4"},
                                                            {"a.gif", "h264", "auto", ".mp4"},
                                                            {"a.mp4", "h264", "rgb565", "yuv420p"},
                                                            {"f_%s.png", "auto", "auto", "%03d"},
                                                            {"f_%d_%d.png", "auto", "auto", "%03d"},
                                                            {"shots/", "h264", "auto", "folder"}}};
  for (const auto& c : cases) {
    auto f = choose_clip_format(c[0], c[1], -1, c[2]);
    ASSERT_FALSE(f.ok()) << c[0];
    EXPECT_EQ(f.status().code(), Code::kInvalid);
    EXPECT_THAT(f.status().message(), HasSubstr(c[3]));
  }
  EXPECT_EQ(choose_clip_format("a.mkv", "ffv1", 3, "auto").status().code(), Code::kInvalid);
  EXPECT_EQ(choose_clip_format("a.mp4", "auto", 60, "auto").status().code(), Code::kInvalid);
  EXPECT_EQ(choose_clip_format("A.MP4", "auto", -1, "auto")->codec, "h264");
}

TEST(Media, SideFileNames) {
  EXPECT_EQ(side_file_of("c01.mp4"), "c01.json");
  EXPECT_EQ(side_file_of("/x/c.01.mp4"), "/x/c.01.json");
  EXPECT_EQ(side_file_of("shots/"), "shots.json");
  EXPECT_EQ(side_file_of("x/f_%03d.png"), "x/f.json");
  EXPECT_EQ(side_file_of("x/%03d.png"), "x/frames.json");
}

TEST(Media, AbandonedClipLeavesNothing) {
  TempFolder dir;
  for (const char* name : {"a.mp4", "a.mkv", "f_%03d.png"}) {
    auto w = ClipWriter::open(settings(dir / name));
    ASSERT_TRUE(w.ok());
    ASSERT_TRUE((*w)->push(bars(0)).ok());
    EXPECT_EQ(dir.entries().size(), 1u);
    EXPECT_TRUE(dir.entries().begin()->starts_with("."));
  }
  EXPECT_TRUE(dir.entries().empty());
}

TEST(Media, ExistingFileIsKept) {
  TempFolder dir;
  write_all(dir / "a.mp4", "precious");
  EXPECT_EQ(check_output(dir / "a.mp4", false).code(), Code::kInvalid);
  EXPECT_TRUE(check_output(dir / "a.mp4", true).ok());
  EXPECT_EQ(check_output(dir.path(), true).code(), Code::kInvalid);
  EXPECT_EQ(check_output("/dev/null", true).code(), Code::kInvalid);
  EXPECT_EQ(check_output(dir / "missing/a.mp4", true).code(), Code::kInvalid);
  // The name is taken while the clip is being made.
  ClipSettings s = settings(dir / "b.mp4");
  auto w = ClipWriter::open(s);
  ASSERT_TRUE(w.ok());
  ASSERT_TRUE((*w)->push(bars(0)).ok());
  ASSERT_TRUE((*w)->finish().ok());
  write_all(dir / "b.mp4", "precious");
  EXPECT_EQ((*w)->commit().code(), Code::kFailed);
  w->reset();
  EXPECT_EQ(read_all(dir / "b.mp4"), "precious");
  EXPECT_THAT(dir.entries(), ElementsAre("a.mp4", "b.mp4"));
}

TEST(Media, FullDiskFailsTheJob) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  TempFolder dir;
  auto file = PendingFile::create(dir / "a.json", false);
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(file->temporary());
  std::filesystem::create_symlink("/dev/full", file->temporary());
  EXPECT_EQ(write_text(*file, std::string(100000, 'x')).code(), Code::kFailed);
}

TEST(Media, FilesOfTheDeadAreRemovedAndThoseOfTheLivingAreNot) {
  TempFolder dir;
  pid_t child = fork();
  if (child == 0) {
    auto file = PendingFile::create(dir / "dead.mp4", false);
    auto folder = PendingFile::create(dir / "shots", false, true);
    _exit(file.ok() && folder.ok() ? 0 : 1);  // without destructors: as after a kill
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  write_all(dir / ".other.zt-00000000-1-1-0", "of another machine");
  write_all(dir / ".hidden", "not ours");
  auto alive = PendingFile::create(dir / "alive.mp4", false);
  ASSERT_TRUE(alive.ok());
  EXPECT_EQ(dir.entries().size(), 5u);
  remove_stale(dir.path());
  EXPECT_EQ(dir.entries().size(), 3u);
  EXPECT_TRUE(std::filesystem::exists(alive->temporary()));
}

TEST(Media, TensorFileIsSafetensors) {
  TempFolder dir;
  std::string settings = R"({"prompt":"a \"quoted\" one"})";
  auto f = TensorFile::open(dir / "f.safetensors", false, "frames", DType::u8, {kFrames, kH, kW, 3}, settings);
  ASSERT_TRUE(f.ok());
  std::string want;
  for (int i = 0; i < kFrames; ++i) {
    auto frame = bars(i);
    want.append(frame.begin(), frame.end());
    ASSERT_TRUE((*f)->write(frame.data(), frame.size()).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "f.safetensors"));
  ASSERT_TRUE((*f)->commit().ok());
  auto file = SafetensorsFile::open(dir / "f.safetensors");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const TensorView& t = file->tensors.at("frames");
  EXPECT_EQ(t.shape, (Shape{kFrames, kH, kW, 3}));
  EXPECT_EQ(std::string(static_cast<const char*>(t.data), t.bytes()), want);
  EXPECT_EQ(file->metadata.at("settings"), settings);
}

TEST(Media, ReaderRefusesWhatIsNoClip) {
  TempFolder dir;
  write_all(dir / "a.mp4", "not a clip at all, not even nearly");
  write_all(dir / "list.txt", "ffconcat version 1.0\nfile '/etc/passwd'\n");
  ASSERT_EQ(mkfifo((dir / "pipe.mp4").c_str(), 0600), 0);  // nobody writes to it: it would be waited for
  for (const char* name : {"a.mp4", "missing.mp4", "list.txt", "pipe.mp4"}) {
    auto r = ClipReader::open(dir / name);
    ASSERT_FALSE(r.ok()) << name;
    EXPECT_EQ(r.status().code(), Code::kInvalid);
  }
}

}  // namespace
}  // namespace zt
