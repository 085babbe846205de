// The desk: every question gets its answer, good or bad.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "app/desktop/kept_files.h"
#include "app/engine/desk.h"
#include "app/engine/engine.h"
#include "app/engine/latent_colours.h"
#include "app/engine/process.h"
#include "app/engine/runners.h"
#include "app/engine/work_queue.h"
#include "app/session/job_text.h"
#include "app/session/queue_text.h"
#include "tests/app/headless/program.h"
#include "tests/app/temp_folder.h"
#include "tests/ui/states.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using zt::testing::TempFolder;
using namespace std::chrono_literals;

constexpr int64_t kLayers = 7;  // of the embedded model

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

TEST(KeptFiles, FortyExamplePrompts) {
  std::vector<std::string> prompts = example_prompts(ZT_SOURCE_DIR "/assets");
  EXPECT_EQ(prompts.size(), 40u);
  EXPECT_EQ(std::set<std::string>(prompts.begin(), prompts.end()).size(), 40u);
  EXPECT_TRUE(example_prompts("/no/such/folder").empty());
}

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
    int64_t previews = 0, tables = 0, maps = 0, masses = 0;
    JobResult result;
  };
  auto run = [&](bool watched, const std::string& name, MeasuredHead head = {}) {
    auto machine = Machine::make();
    Engine engine(make_render_runner(std::make_shared<ModelHost>(std::move(*machine), places)), {}, watched);
    Command measure, command;
    measure.kind = Command::Kind::measure, measure.measured = head;
    EXPECT_EQ(engine.post(std::move(measure)), 0u);
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
        if (!m->mass.empty()) {
          ++seen.masses;
          EXPECT_EQ((MeasuredHead{m->layer, m->head}), head);
          EXPECT_EQ(m->step, seen.masses);
          EXPECT_EQ(m->kept.size(), m->mass.size());
          if (m->mass.size() != size_t(m->rows * m->cols)) break;
          // bf16 attention rounds each block's sum; the bound is the one `inspect` promises.
          for (int64_t row = 0; row < m->rows; ++row) {
            auto at = m->mass.begin() + row * m->cols;
            EXPECT_NEAR(std::accumulate(at, at + m->cols, 0.), 1, 1e-3);
          }
          continue;
        }
        ++seen.maps;
        EXPECT_EQ(m->kept.size(), size_t(m->rows * m->cols));
        EXPECT_LT(m->layer, kLayers);
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
  EXPECT_EQ(watched.maps, kLayers) << "a plan that does not change is sent once for each layer";
  EXPECT_EQ(alone.previews + alone.tables + alone.maps, 0);
  EXPECT_EQ(watched.masses + alone.masses, 0) << "nobody asked for them";
  Seen measured = run(true, "m.mp4", {2, 1});
  EXPECT_EQ(measured.masses, 3) << "one a step";
  EXPECT_EQ(measured.maps, kLayers);
  // Watching and measuring change no pixel.
  EXPECT_EQ(zt::testing::read_all(folder / "w.mp4"), zt::testing::read_all(folder / "a.mp4"));
  EXPECT_EQ(zt::testing::read_all(folder / "m.mp4"), zt::testing::read_all(folder / "a.mp4"));
  zt::testing::write_all(folder / "foreign.mp4", "not a clip");
  ClipsListed list = ask<ClipsListed>(ListClips{folder.path()});
  EXPECT_EQ(list.clips.size(), 3u);
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

// What waits in the window is a batch: the same file, the same jobs, each rendered once.
TEST_F(DeskTest, TheQueueOfTheWindowIsABatch) {
  ui::AppState s = ui::testing::fresh_state();
  reduce(s, ui::Action(ui::SetOutputFolder{folder.path()}));
  reduce(s, DeskAnswer(ask<ClipsListed>(ListClips{folder.path()})));
  for (auto [field, value] : {std::pair("size", "32x32"), {"frames", "5"}, {"steps", "2"}, {"cfg_scale", "1"}})
    reduce(s, ui::Action(ui::SetField{field, value}));
  for (const char* prompt : {"one \"quoted\" {seed}", "two\x7f", "three"}) {
    reduce(s, ui::Action(ui::SetField{"prompt", prompt}));
    reduce(s, ui::Action(ui::Press{"render"}));
  }
  auto queue = kept_queue(s);
  ASSERT_EQ(queue.size(), 1u);
  const std::vector<JobSpec>& jobs = queue[folder.path()];
  ASSERT_EQ(jobs.size(), 3u);
  ASSERT_TRUE(write_queue(folder.path(), jobs).ok());
  EXPECT_EQ(ask<ClipsListed>(ListClips{folder.path()}).waiting, jobs) << "a restart finds them as they were";

  // Half of it by another program, the rest is still there.
  TempFolder elsewhere;
  auto batch = [&](const std::string& shard) {
    return zt::testing::run(elsewhere, {"batch", queue_path(folder.path()), "--shard", shard, "--progress", "none"});
  };
  auto first = batch("0/2");
  ASSERT_EQ(first.code, 0) << first.err;
  ClipsListed list = ask<ClipsListed>(ListClips{folder.path()});
  EXPECT_EQ(list.clips.size(), 2u);
  EXPECT_EQ(list.waiting, std::vector<JobSpec>{jobs[1]});

  auto machine = Machine::make();
  std::optional<Claim> claim;
  Isa isa = (*machine)->ctx.isa;
  EXPECT_EQ(take_turn(jobs[0], places, isa, claim), Turn::done);
  EXPECT_FALSE(claim);
  ASSERT_EQ(take_turn(jobs[1], places, isa, claim), Turn::ours);
  ASSERT_TRUE(claim);
  std::optional<Claim> second;
  EXPECT_EQ(take_turn(jobs[1], places, isa, second), Turn::elsewhere);
  claim.reset();

  // The window's own engine finishes the last one; the batch has nothing left to do.
  Engine engine(make_render_runner(std::make_shared<ModelHost>(std::move(*machine), places)));
  Command command;
  command.spec = jobs[1];
  engine.post(std::move(command));
  std::string error = "no result";
  for (auto deadline = std::chrono::steady_clock::now() + 120s; std::chrono::steady_clock::now() < deadline;) {
    auto e = engine.poll();
    const auto* r = e ? std::get_if<JobResult>(&e->payload) : nullptr;
    if (r) error = r->error;
    if (r) break;
    if (!e) std::this_thread::sleep_for(1ms);
  }
  ASSERT_EQ(error, "");
  EXPECT_TRUE(ask<ClipsListed>(ListClips{folder.path()}).waiting.empty());
  auto written = std::filesystem::last_write_time(jobs[1].output);
  auto last = batch("0/1");
  EXPECT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(std::filesystem::last_write_time(jobs[1].output), written);
  ASSERT_TRUE(write_queue(folder.path(), {}).ok());
  EXPECT_FALSE(folder.entries().count("queue.toml"));
}

TEST_F(DeskTest, AQueueThatCannotBeReadIsPutAside) {
  zt::testing::write_all(folder / "queue.toml", "[[job]]\nsteps = \"many\"\n");
  ClipsListed list = ask<ClipsListed>(ListClips{folder.path()});
  EXPECT_THAT(list.problem, HasSubstr("queue.toml.damaged now"));
  EXPECT_TRUE(list.waiting.empty());
  EXPECT_EQ(folder.entries(), std::set<std::string>{"queue.toml.damaged"});
}

TEST(QueueText, SaysHowManyJobsFit) {
  JobSpec spec;
  spec.prompt = std::string(100000, 'x');
  std::vector<JobSpec> jobs(20, spec);
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i].output = "/clips/" + std::to_string(i) + ".mp4";
  size_t written = 0;
  std::string text = queue_text(jobs, "/clips", written);
  EXPECT_EQ(written, 10u);  // of 100 kB in 1 MiB
  EXPECT_LE(text.size(), kMaxTextBytes);
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
