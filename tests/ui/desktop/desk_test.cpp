// The desk: every question gets its answer, good or bad.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "app/desktop/kept_files.h"
#include "app/engine/desk.h"
#include "app/engine/engine.h"
#include "app/engine/latent_colours.h"
#include "app/engine/process.h"
#include "app/engine/runners.h"
#include "app/session/job_text.h"
#include "tests/app/temp_folder.h"
#include "tests/ui/states.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using zt::testing::TempFolder;
using namespace std::chrono_literals;

class DeskTest : public ::testing::Test {
 protected:
  DeskTest() {
    quiet_libraries();
    auto machine = Machine::make();
    places.assets = ZT_SOURCE_DIR "/assets", places.version = "test";
    desk = std::make_unique<Desk>(std::move(*machine), places);
  }
  template <class T>
  T ask(DeskRequest request) {
    desk->post(std::move(request));
    auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (auto a = desk->poll()) return std::get<T>(*a);
      std::this_thread::sleep_for(1ms);
    }
    ADD_FAILURE() << "no answer";
    return {};
  }
  JobPlaces places;
  TempFolder folder;
  std::unique_ptr<Desk> desk;
};

TEST_F(DeskTest, APictureComesBackAsItWasWritten) {
  auto clip = std::make_shared<ClipFrames>();
  clip->width = 6, clip->height = 4, clip->frames = 2;
  for (int i = 0; i < 6 * 4 * 3 * 2; ++i) clip->rgb.push_back(uint8_t(i * 7));
  std::string path = folder / "new/p.png";
  EXPECT_EQ(ask<FileWritten>(SavePicture{path, clip, 1}).problem, "");
  ClipLoaded back = ask<ClipLoaded>(LoadClip{path, 3});
  ASSERT_EQ(back.problem, "");
  EXPECT_EQ(back.slot, 3);
  EXPECT_EQ(back.clip->rgb, std::vector<uint8_t>(clip->rgb.begin() + 6 * 4 * 3, clip->rgb.end()));
  EXPECT_NE(ask<FileWritten>(SavePicture{path, clip, 2}).problem, "");
  EXPECT_NE(ask<FileWritten>(SavePicture{folder / "p.bmp", clip, 0}).problem, "");
}

TEST_F(DeskTest, ATextIsThereWhenPostReturns) {
  desk->post(WriteText{folder / "deep/er/plan.toml", "version = 1\n"});
  EXPECT_EQ(zt::testing::read_all(folder / "deep/er/plan.toml"), "version = 1\n");
  EXPECT_TRUE(desk->poll());
  EXPECT_EQ(ask<FileWritten>(WriteText{folder / "deep/er/plan.toml", "2"}).problem, "");
  EXPECT_NE(ask<FileWritten>(WriteText{"/proc/nowhere/x", "2"}).problem, "");
}

TEST_F(DeskTest, SettingsComeFromTheSideFileAndBadOnesAreNamed) {
  JobSpec spec;
  spec.prompt = "a cat", spec.steps = 3;
  zt::testing::write_all(folder / "c.json", settings_document(spec, "1").dump());
  EXPECT_EQ(ask<SettingsRead>(ReadSettings{folder / "c.json"}).spec, spec);
  EXPECT_EQ(ask<SettingsRead>(ReadSettings{folder / "c.mp4"}).spec, spec) << "by the clip's name";
  for (const char* bad : {"{", "{\"steps\": \"x\"}", "{\"unknown\": 1}", "{\"steps\": -4}"}) {
    zt::testing::write_all(folder / "bad.json", bad);
    EXPECT_THAT(ask<SettingsRead>(ReadSettings{folder / "bad.json"}).problem, HasSubstr("bad.json")) << bad;
  }
  EXPECT_NE(ask<SettingsRead>(ReadSettings{folder / "absent.json"}).problem, "");
  EXPECT_NE(ask<SettingsRead>(ReadSettings{folder / "absent.mp4"}).problem, "");
}

TEST_F(DeskTest, EstimatesWithoutLoadingAnything) {
  EstimateJob q;
  q.version = 5, q.spec.attn = "radial:block=64";
  JobEstimate e = ask<JobEstimate>(q);
  EXPECT_EQ(e.problem, "");
  EXPECT_EQ(e.version, 5u);
  EXPECT_EQ(e.tokens, 9 * 8 * 8);  // 33 frames of 128x128: latents [9, 16, 16], patches of 2x2
  EXPECT_GT(e.density, 0);
  EXPECT_LT(e.density, 1);
  EXPECT_GE(e.peak_mb, e.weights_mb);
  q.spec.size = {1024, 1024};
  EXPECT_NE(ask<JobEstimate>(q).warning, "");
  q.spec.model = folder / "none";
  EXPECT_THAT(ask<JobEstimate>(q).problem, HasSubstr("does not exist"));
  q.spec.model = "mini", q.spec.attn = "radial:block=7";
  EXPECT_NE(ask<JobEstimate>(q).problem, "");
}

TEST_F(DeskTest, AModelBringsItsPreset) {
  ModelDescribed d = ask<ModelDescribed>(DescribeModel{"mini"});
  EXPECT_EQ(d.problem, "");
  EXPECT_EQ(d.defaults.size, (Size{128, 128}));
  EXPECT_NE(ask<ModelDescribed>(DescribeModel{folder / "none"}).problem, "");
}

TEST_F(DeskTest, AWatchedJobSendsPreviewsAndTablesAndItsClipIsListed) {
  struct Seen {
    int64_t previews = 0, tables = 0, maps = 0;
    JobResult result;
  };
  auto run = [&](bool watched, const std::string& name) {
    auto machine = Machine::make();
    Engine engine(make_render_runner(std::make_shared<ModelHost>(std::move(*machine), places)), {}, watched);
    Command command;
    command.spec.prompt = "a red balloon", command.spec.size = {32, 32}, command.spec.frames = 33, command.spec.steps = 3;
    command.spec.output = folder / name, command.spec.attn = "radial:block=64";
    engine.post(std::move(command));
    Seen seen;
    auto deadline = std::chrono::steady_clock::now() + 120s;
    while (std::chrono::steady_clock::now() < deadline) {
      auto e = engine.poll();
      if (!e) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      if (const auto* p = std::get_if<Preview>(&e->payload)) {
        ++seen.previews;
        EXPECT_EQ(p->clip->width, 32);
      }
      if (const auto* t = std::get_if<AttentionTable>(&e->payload)) {
        ++seen.tables;
        EXPECT_EQ(t->step, seen.tables);
        EXPECT_EQ(t->density.size(), size_t(t->layers * t->heads));
        EXPECT_EQ(t->time_ms.size(), t->density.size());
      }
      if (const auto* m = std::get_if<AttentionMap>(&e->payload)) {
        ++seen.maps;
        EXPECT_EQ(m->kept.size(), size_t(m->rows * m->cols));
        EXPECT_LT(m->layer, 6);
        EXPECT_EQ(m->key_block_of.size(), size_t(m->grid_t * m->grid_h * m->grid_w));
        EXPECT_EQ(m->rows, (m->grid_t * m->grid_h * m->grid_w + m->query_block - 1) / m->query_block);
      }
      if (const auto* r = std::get_if<JobResult>(&e->payload)) {
        seen.result = *r;
        break;
      }
    }
    EXPECT_EQ(seen.result.error, "");
    return seen;
  };
  Seen watched = run(true, "w.mp4"), alone = run(false, "a.mp4");
  EXPECT_GE(watched.previews, 1);
  EXPECT_EQ(watched.tables, 3);
  EXPECT_EQ(watched.maps, 6) << "a plan that does not change is sent once for each layer";
  EXPECT_EQ(alone.previews + alone.tables + alone.maps, 0);
  // Watching changes no pixel.
  EXPECT_EQ(zt::testing::read_all(folder / "w.mp4"), zt::testing::read_all(folder / "a.mp4"));
  zt::testing::write_all(folder / "foreign.mp4", "not a clip");
  ClipsListed list = ask<ClipsListed>(ListClips{folder.path()});
  EXPECT_EQ(list.clips.size(), 2u);
  EXPECT_NE(ask<ThumbnailLoaded>(LoadThumbnail{folder / "w.mp4"}).thumbnail, nullptr);
  EXPECT_EQ(ask<ThumbnailLoaded>(LoadThumbnail{folder / "foreign.mp4"}).thumbnail, nullptr);
}

TEST_F(DeskTest, PinsMakeAPlanFileThatTheModelAccepts) {
  EstimateJob q;
  std::string path = folder / "pins.toml";
  desk->post(WriteText{
      path, plan_file_text("radial:block=64", {{0, -1, "dense"}, {2, 1, "dense"}, {3, 4, "radial:decay=0.5,block=64"}})});
  EXPECT_TRUE(desk->poll());
  q.spec.attn = "@" + path;
  EXPECT_EQ(ask<JobEstimate>(q).problem, "");
}

// The map must carry over to a picture it has not seen: at least half of what varies in it is explained.
TEST_F(DeskTest, LatentsAsColoursResembleThePicture) {
  auto machine = Machine::make();
  ASSERT_TRUE(machine.ok());
  const ExecContext& ctx = (*machine)->ctx;
  auto pipeline = TextToVideo::open(places.assets + "/mini", DType::f32);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
  auto colours = LatentColours::fit(**pipeline, ctx);
  ASSERT_TRUE(colours.ok()) << colours.status().message();
  constexpr int64_t kSide = 64, kCell = 8;
  auto picture = ctx.arena->make(DType::f32, Shape{kSide, kSide, 3});
  // Sky over ground with a warm disc.
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      float* rgb = picture->as<float>() + (y * kSide + x) * 3;
      bool disc = (x - 24) * (x - 24) + (y - 30) * (y - 30) < 15 * 15;
      const float sky[] = {-0.2f, 0.2f, 0.8f}, ground[] = {-0.3f, 0.3f, -0.5f}, warm[] = {0.8f, -0.2f, -0.6f};
      std::copy_n(disc ? warm : y < 40 ? sky : ground, 3, rgb);
    }
  }
  bool given = false;
  auto next = [&]() -> Result<TensorView> { return std::exchange(given, true) ? TensorView() : picture->view(); };
  auto z = (*pipeline)->encode({kSide, kSide, 1}, next, ctx);
  ASSERT_TRUE(z.ok());
  Clip seen = colours->picture(*z, 16);
  ASSERT_EQ(seen->width, kSide / kCell);
  double error = 0, spread = 0;
  for (int64_t c = 0; c < 3; ++c) {
    std::vector<double> wanted;
    for (int64_t i = 0; i < seen->width * seen->height; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < kCell * kCell; ++k) {
        int64_t y = i / seen->width * kCell + k / kCell, x = i % seen->width * kCell + k % kCell;
        sum += double(picture->as<float>()[(y * kSide + x) * 3 + c]);
      }
      wanted.push_back(sum / double(kCell * kCell));
    }
    double mean = std::accumulate(wanted.begin(), wanted.end(), 0.) / double(wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      double got = double(seen->rgb[i * 3 + size_t(c)]) / 127.5 - 1;
      error += (got - wanted[i]) * (got - wanted[i]), spread += (wanted[i] - mean) * (wanted[i] - mean);
    }
  }
  EXPECT_LT(error, 0.5 * spread) << "R2 " << 1 - error / spread;
}

// Jobs end as fast as they can be posted: the window sees every result, in order.
TEST(EngineToState, TenThousandResultsArrive) {
  class Instant final : public JobRunner {
   public:
    JobResult run(const JobSpec& spec, const JobControl& control) override {
      control.progress({});
      control.preview({1, nullptr});
      JobResult r;
      return r.spec = spec, r;
    }
  };
  Engine engine(std::make_unique<Instant>(), {}, true);
  ui::AppState state = ui::testing::fresh_state();
  constexpr size_t kJobs = 10000;
  for (size_t i = 0; i < kJobs; ++i) engine.post({});
  auto deadline = std::chrono::steady_clock::now() + 60s;
  while (state.queue.finished.size() < kJobs && std::chrono::steady_clock::now() < deadline) {
    if (auto e = engine.poll()) ui::reduce(state, *e);
  }
  ASSERT_EQ(state.queue.finished.size(), kJobs);
  for (size_t i = 0; i < kJobs; ++i) ASSERT_EQ(state.queue.finished[i].request, i + 1);
}

TEST(KeptFiles, GoWhereTheEnvironmentSays) {
  TempFolder folder;
  setenv("XDG_STATE_HOME", folder.path().c_str(), 1);
  EXPECT_EQ(state_folder(), folder.path() + "/zoetrope");
  Problem problem;
  EXPECT_EQ(read_kept(state_folder(), problem).form, JobSpec());
  EXPECT_EQ(problem, "");
  ASSERT_TRUE(write_text_file(state_folder() + "/window.json", "nonsense").ok());
  EXPECT_EQ(read_kept(state_folder(), problem).form, JobSpec());
  EXPECT_NE(problem, "");
  unsetenv("XDG_STATE_HOME");
}

}  // namespace
}  // namespace zt
