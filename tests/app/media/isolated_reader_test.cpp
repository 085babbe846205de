// Damaged clips, read in a child: the parent gets frames or one line, and goes on.
#include <gmock/gmock.h>

#include <random>

#include "app/media/av.h"
#include "app/media/clip_writer.h"
#include "app/media/isolated_reader.h"
#include "tests/app/temp_folder.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using namespace zt::testing;

class IsolatedReader : public ::testing::Test {
 protected:
  void SetUp() override { quiet_ffmpeg(); }
  // A small clip with moving content and a comment.
  std::string make(const std::string& name, int64_t width = 64, int64_t height = 48, int frames = 9) {
    ClipSettings s;
    s.output = dir / name, s.width = width, s.height = height, s.frames = frames, s.fps = 8, s.comment = "{\"a\":\n1}";
    auto format = choose_clip_format(s.output, "auto", -1, "auto");
    EXPECT_TRUE(format.ok()) << format.status().message();
    s.format = *format;
    auto writer = ClipWriter::open(s);
    EXPECT_TRUE(writer.ok()) << writer.status().message();
    for (int f = 0; f < frames; ++f) {
      std::vector<uint8_t> rgb(size_t(width * height * 3));
      for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = uint8_t(i * 7 + size_t(f) * 31);
      EXPECT_TRUE((*writer)->push(std::move(rgb)).ok());
    }
    EXPECT_TRUE((*writer)->finish().ok() && (*writer)->commit().ok());
    return s.output;
  }
  // Frames until the end or an error, at most `most`.
  static Result<int64_t> count(const std::string& path, const ReaderLimits& limits = {}) {
    ZT_ASSIGN_OR_RETURN(auto reader, open_isolated(path, limits));
    std::vector<uint8_t> rgb(size_t(reader->info().width * reader->info().height * 3));
    for (int64_t n = 0;; ++n) {
      ZT_ASSIGN_OR_RETURN(bool more, reader->next(rgb.data()));
      if (!more) return n;
    }
  }
  void damage(const std::string& name, int rounds) {
    const std::string whole = read_all(make(name));
    std::mt19937_64 random(2);
    int refused = 0;
    for (int i = 0; i < rounds; ++i) {
      std::string bent = whole;
      for (uint64_t n = 1 + random() % 20; n > 0; --n) bent[random() % bent.size()] = char(random());
      if (i % 5 == 0) bent.resize(random() % bent.size());
      write_all(dir / name, bent);
      auto frames = count(dir / name, {.cpu_seconds = 20});
      refused += !frames.ok();
      if (!frames.ok()) {
        EXPECT_EQ(frames.status().message().find('\n'), std::string::npos);
        continue;
      }
      EXPECT_LE(*frames, 10001);
    }
    std::printf("%s: %d of %d damaged clips refused, the others gave frames\n", name.c_str(), refused, rounds);
  }
  TempFolder dir;
};
using LongIsolatedReader = IsolatedReader;

TEST_F(IsolatedReader, SeesWhatTheReaderSees) {
  std::string path = make("a.mp4");
  auto plain = ClipReader::open(path);
  auto apart = open_isolated(path);
  ASSERT_TRUE(plain.ok() && apart.ok()) << apart.status().message();
  EXPECT_EQ((*apart)->info().comment, (*plain)->info().comment);
  EXPECT_EQ((*apart)->info().fps, (*plain)->info().fps);
  EXPECT_EQ((*apart)->info().matrix, "bt709");
  std::vector<uint8_t> x(64 * 48 * 3), y(x.size());
  for (int f = 0; f < 9; ++f) {
    ASSERT_TRUE(*(*plain)->next(x.data()));
    ASSERT_TRUE(*(*apart)->next(y.data()));
    EXPECT_EQ(x, y);
  }
  EXPECT_FALSE(*(*apart)->next(y.data()));
}

TEST_F(IsolatedReader, LimitsEndTheChildOnly) {
  std::string path = make("a.mp4");
  auto few = count(path, {.frames = 4});
  ASSERT_TRUE(few.ok());
  EXPECT_EQ(*few, 4);
#ifndef __SANITIZE_ADDRESS__
  // A frame of 96 MiB: more than the 64 MiB that the C library keeps of what was freed, and would serve it from.
  std::string large = make("large.png", 8192, 4096, 1);
  EXPECT_EQ(*count(large), 1);
  auto refused = count(large, {.memory_bytes = 1 << 20});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("memory"));
#endif
  EXPECT_FALSE(open_isolated(dir / "missing.mp4").ok());
  auto early = open_isolated(path);  // given up before its end: no process stays
  EXPECT_TRUE(early.ok());
}

TEST_F(IsolatedReader, SomeDamagedClips) { damage("a.mp4", 40), damage("a.mkv", 40); }
TEST_F(LongIsolatedReader, AThousandDamagedClips) {
  for (const char* name : {"a.mp4", "a.mkv", "a.webm", "a.gif"}) damage(name, 250);
}

}  // namespace
}  // namespace zt
