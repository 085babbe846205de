// Variants as a job meets them: names, defaults, hashes, checkpoints, and the command.
#include <gmock/gmock.h>

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "app/engine/checkpoint.h"
#include "app/engine/job_estimate.h"
#include "app/engine/places.h"
#include "app/engine/presets.h"
#include "app/session/job_text.h"
#include "tests/app/engine/tiny_render.h"
#include "tests/app/headless/program.h"
#include "tests/support/variant_files.h"

namespace zt {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace zt::testing;

constexpr const char* kFewSteps =
    R"(, "defaults": {"steps": 4, "guidance": 1, "sampler": "euler", "sigmas": [1, 0.9, 0.75, 0.5]})";

// Assets with the embedded model and variants of its own.
class Variants : public ::testing::Test {
 protected:
  Variants() {
    fs::create_directories(assets + "/mini/variants");
    fs::create_directory_symlink(ZT_SOURCE_DIR "/assets/presets", assets + "/presets");
    for (const char* part : {"model_index.json", "scheduler", "text_encoder", "tokenizer", "transformer", "vae"})
      fs::create_symlink(std::string(ZT_SOURCE_DIR "/assets/mini/") + part, assets + "/mini/" + part);
    auto model = open_model_folder(assets + "/mini");
    EXPECT_TRUE(model.ok()) << model.status().message();
    if (model.ok()) config = model->transformer_config;
  }
  std::string folder(const std::string& name) const { return assets + "/mini/variants/" + name; }
  void make(const std::string& name, const DeltaRule& rule, const std::string& more = "") {
    write_variant(folder(name), "../..", config, rule, more);
  }
  JobSpec with_preset(JobSpec spec, const std::set<std::string>& given) {
    Status s = apply_preset(spec, given, places);
    EXPECT_TRUE(s.ok()) << s.message();
    return spec;
  }
  std::shared_ptr<ModelHost> host() {
    quiet_ffmpeg();
    auto machine = zt::Machine::make();
    EXPECT_TRUE(machine.ok()) << machine.status().message();
    return std::make_shared<ModelHost>(std::move(*machine), places);
  }
  JobSpec job(const std::string& name, const std::string& model, int64_t steps = 2) {
    JobSpec s = tiny_job(dir / (name + ".mp4"), steps);
    s.model = model, s.save_latents = dir / (name + ".safetensors");
    return s;
  }
  Finished program(std::vector<std::string> args) { return run(dir, args, {"ZOETROPE_ASSETS=" + assets}); }

  TempFolder dir, home;
  std::string assets = home / "assets";
  JobPlaces places{assets, "test"};
  TransformerConfig config;
};

TEST_F(Variants, AreFoundByNameAndByPath) {
  EXPECT_THAT(embedded_models(places), ElementsAre("mini"));
  make("mini-b", {}), make("mini-a", {});
  fs::create_directories(folder("no-variant"));
  EXPECT_THAT(embedded_models(places), ElementsAre("mini", "mini-a", "mini-b"));
  EXPECT_EQ(*model_root("mini-a", places), folder("mini-a"));
  EXPECT_EQ(*model_root(folder("mini-a"), places), folder("mini-a"));
  for (const char* name : {"no-variant", "..", "../variants/mini-a", "mini-a/", "", "."}) EXPECT_EQ(embedded_folder(name, places), "") << name;
  auto missing = model_root("mini-aa", places);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code(), Code::kBadModel);
  EXPECT_THAT(missing.status().message(), HasSubstr("did you mean mini-a?"));
}

TEST_F(Variants, DefaultsFillWhatNobodySet) {
  make("few", {}, kFewSteps);
  JobSpec s;
  s.model = "few";
  JobSpec got = with_preset(s, {"model"});
  EXPECT_EQ(got.steps, 4);
  EXPECT_EQ(got.cfg_scale, 1);
  EXPECT_EQ(got.sampler, "euler");
  EXPECT_EQ(got.sigmas, (std::vector<double>{1, 0.9, 0.75, 0.5}));
  EXPECT_EQ(got.size, (Size{128, 128}));
  s.model = folder("few");
  EXPECT_EQ(with_preset(s, {"model"}).sigmas.size(), 4u) << "by path";
  s.model = "few";

  JobSpec own = s;
  own.sampler = "unipc", own.cfg_scale = 3, own.seed = 7;
  got = with_preset(own, {"sampler", "cfg_scale", "seed"});
  EXPECT_EQ(got.sampler, "unipc");
  EXPECT_EQ(got.cfg_scale, 3);
  EXPECT_EQ(got.sigmas.size(), 4u);
  own = s, own.steps = 8;
  got = with_preset(own, {"steps"});
  EXPECT_EQ(got.steps, 8);
  EXPECT_TRUE(got.sigmas.empty()) << "made for another number of steps";
  own = s, own.steps = 4;
  EXPECT_EQ(with_preset(own, {"steps"}).sigmas.size(), 4u);
  own = s, own.flow_shift = 5;
  got = with_preset(own, {"flow_shift"});
  EXPECT_TRUE(got.sigmas.empty());
  EXPECT_EQ(got.flow_shift, 5);
  own = s, own.sigmas = {1, 0.5};
  got = with_preset(own, {"sigmas"});
  EXPECT_EQ(got.steps, 2);
  EXPECT_EQ(got.sigmas.size(), 2u);
  own = s, own.sigmas = {}, own.steps = 20;
  got = with_preset(own, {"sigmas"});
  EXPECT_TRUE(got.sigmas.empty()) << "an empty list that somebody gave is one";
  own = s, own.sigmas = {1, 0.5}, own.steps = 3;
  EXPECT_EQ(apply_preset(own, {"sigmas", "steps"}, places).code(), Code::kInvalid);
}

TEST_F(Variants, AttentionIsADefaultLikeOthers) {
  make("sla", {.projection = true}, R"(, "defaults": {"attn": "sla:keep=0.1,block_q=128,block_k=64"})");
  JobSpec s;
  s.model = "sla";
  EXPECT_EQ(with_preset(s, {}).attn, "sla:keep=0.1,block_q=128,block_k=64");
  EXPECT_EQ(with_preset(s, {}).steps, 20) << "the base's";
  s.attn = "dense";
  EXPECT_EQ(with_preset(s, {"attn"}).attn, "dense");
  make("wrong", {}, R"(, "defaults": {"attn": "slq:keep=0.1"})");
  s.model = "wrong";
  Status refused = apply_preset(s, {}, places);
  EXPECT_EQ(refused.code(), Code::kBadModel);
  EXPECT_THAT(refused.message(), HasSubstr("variant.json: defaults: attn"));
}

TEST_F(Variants, HashesTellThemFromTheBaseAndFromEachOther) {
  make("a", {}), make("b", {.seed = 9}), make("c", {}, R"(, "alpha": 8)"), make("d", {}), make("e", {}, R"(, "boundary_ratio": 0.9)");
  std::set<std::string> seen = {model_fingerprint(assets + "/mini")};
  EXPECT_EQ(*seen.begin(), model_fingerprint(ZT_SOURCE_DIR "/assets/mini"));
  for (const char* name : {"a", "b", "c", "e"}) EXPECT_TRUE(seen.insert(model_fingerprint(folder(name))).second) << name;
  EXPECT_EQ(model_fingerprint(folder("d")), model_fingerprint(folder("a")));
  JobSpec base, variant;
  variant.model = "a";
  EXPECT_NE(settings_hash(base), settings_hash(variant));
}

TEST_F(Variants, ADeltaOfZerosRendersTheBasesLatents) {
  make("zero", {.projection = true}), make("other", {.size = 0.05f});
  auto runner = make_render_runner(host());
  for (const char* model : {"mini", "zero", "other", "mini"}) {
    TinyRun r = run_tiny(*runner, job(model, model));
    ASSERT_EQ(r.result.code, ExitCode::done) << r.result.error;
    EXPECT_EQ(r.said("every key of the delta used"), std::string(model) != "mini");
    if (std::string(model) == "zero") {
      EXPECT_TRUE(r.said(fmt::format("variant zero: {} matrices changed, {} tensors added", 10 * config.layers, 2 * config.layers)));
    }
    for (const char* made : {".mp4", ".json"}) fs::rename(dir / (model + std::string(made)), dir / (model + std::string("-") + made));
    fs::copy_file(dir / (model + std::string(".safetensors")), dir / (model + std::string("-latents")), fs::copy_options::overwrite_existing);
    fs::remove(dir / (model + std::string(".safetensors")));
  }
  EXPECT_EQ(latents_of(dir / "zero-latents"), latents_of(dir / "mini-latents"));
  EXPECT_NE(latents_of(dir / "other-latents"), latents_of(dir / "mini-latents"));
  auto origin = [&](const std::string& name) { return nlohmann::json::parse(read_all(dir / (name + "-.json"))); };
  EXPECT_NE(origin("zero")["model_hash"], origin("mini")["model_hash"]);
  EXPECT_EQ(origin("zero")["model"], "zero");
}

TEST_F(Variants, ACheckpointBelongsToItsWeights) {
  make("v", {.size = 0.05f});
  auto begin = [&](const std::string& name, const std::string& model) {
    JobSpec s = job(name, model, 4);
    EXPECT_EQ(run_tiny(*make_render_runner(host()), s, {JobState::denoising, 2}).result.code, ExitCode::interrupted);
    s.resume = true;
    return s;
  };
  JobSpec s = begin("a", "mini");
  s.model = "v";
  TinyRun r = run_tiny(*make_render_runner(host()), s);
  EXPECT_EQ(r.result.code, ExitCode::done) << r.result.error;
  EXPECT_TRUE(r.said("settings_hash")) << "of the base on a variant";
  s = begin("b", "v");
  r = run_tiny(*make_render_runner(host()), s);
  EXPECT_EQ(r.result.code, ExitCode::done) << r.result.error;
  EXPECT_TRUE(r.said("going on after step 2"));
  EXPECT_EQ(latents_of(dir / "b.safetensors"), latents_of(dir / "a.safetensors")) << "in one go and in two";
  s = begin("c", "v");
  make("v", {.size = 0.05f, .seed = 77});  // trained anew under the same name
  r = run_tiny(*make_render_runner(host()), s);
  EXPECT_EQ(r.result.code, ExitCode::done) << r.result.error;
  EXPECT_TRUE(r.said("model_hash"));
  EXPECT_TRUE(r.said("from the beginning"));
}

TEST_F(Variants, SigmasAreStoredAndDecideThePixels) {
  auto runner = make_render_runner(host());
  JobSpec s = job("a", "mini", 2);
  s.sampler = "euler", s.sigmas = {1, 0.5};
  ASSERT_EQ(run_tiny(*runner, s).result.code, ExitCode::done);
  JobSpec stored;
  EXPECT_EQ(read_settings(read_all(dir / "a.json"), stored), "");
  EXPECT_EQ(stored.sigmas, s.sigmas);
  EXPECT_EQ(stored.steps, 2);
  JobSpec plain = job("b", "mini", 2);
  plain.sampler = "euler";
  ASSERT_EQ(run_tiny(*runner, plain).result.code, ExitCode::done);
  EXPECT_NE(latents_of(dir / "a.safetensors"), latents_of(dir / "b.safetensors"));
  s = job("c", "mini", 3), s.sigmas = {1, 0.5};
  EXPECT_EQ(run_tiny(*runner, s).result.code, ExitCode::invalid);
}

TEST_F(Variants, TheDeskDescribesAndEstimatesThem) {
  make("few", {.projection = true}, kFewSteps);
  ModelDescribed d = describe_model({"few"}, places);
  EXPECT_EQ(d.problem, "");
  EXPECT_EQ(d.defaults.sigmas.size(), 4u);
  EXPECT_EQ(d.defaults.model, "few");
  auto machine = zt::Machine::make();
  ASSERT_TRUE(machine.ok());
  EstimateJob ask{1, d.defaults};
  JobEstimate e = estimate_job(ask, places, (*machine)->ctx);
  EXPECT_EQ(e.problem, "");
  EXPECT_GT(e.weights_mb, 0);
  write_all(folder("few") + "/variant.json", "{}");
  EXPECT_THAT(describe_model({"few"}, places).problem, HasSubstr("format is missing"));
}

TEST_F(Variants, DamagedOnesAreBadModels) {
  make("v", {});
  auto fails = [&](const std::string& word) {
    TinyRun r = run_tiny(*make_render_runner(host()), job("a", "v"));
    EXPECT_EQ(r.result.code, ExitCode::bad_model) << r.result.error;
    EXPECT_THAT(r.result.error, HasSubstr(word));
    EXPECT_THAT(dir.entries(), ElementsAre());
  };
  fs::remove(folder("v") + "/delta.safetensors");
  fails("delta");
  write_all(folder("v") + "/delta.safetensors", std::string(100, '\0'));
  fails("delta.safetensors");
  write_variant_json(folder("v"), ".", 4);
  fails("variant itself");
}

TEST_F(Variants, OfTheCommand) {
  make("few", {.size = 0.02f}, kFewSteps + std::string(R"(, "about": "four steps")"));
  make("bad", {});
  write_all(folder("bad") + "/delta.safetensors", "x");
  Finished listed = program({"models", "list", "--json"});
  EXPECT_EQ(listed.code, 0) << listed.err;
  auto models = nlohmann::json::parse(listed.out)["models"];
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[1]["name"], "bad");
  EXPECT_THAT(models[1]["problem"].get<std::string>(), HasSubstr("too short"));
  EXPECT_EQ(models[2]["about"], "four steps");
  EXPECT_EQ(models[2]["bytes"].get<int64_t>() - models[2]["delta_bytes"].get<int64_t>(), models[0]["bytes"].get<int64_t>());
  EXPECT_EQ(nlohmann::json::parse(program({"models", "list", assets, "--json"}).out)["models"].size(), 4u);
  EXPECT_THAT(program({"models"}).out, HasSubstr("four steps"));

  Finished shown = program({"models", "show", "few", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  auto few = nlohmann::json::parse(shown.out);
  EXPECT_EQ(few["matrices_changed"], 10 * config.layers);
  EXPECT_EQ(few["defaults"]["sigmas"], "1,0.9,0.75,0.5");
  EXPECT_EQ(few["defaults"]["sampler"], "euler");
  EXPECT_THAT(program({"models", "show", "few"}).out, HasSubstr("matrices_changed"));
  EXPECT_EQ(program({"models", "show", "mini"}).code, 0);
  EXPECT_EQ(program({"models", "verify", "few"}).code, 0);
  EXPECT_EQ(program({"models", "verify", folder("few")}).code, 0);
  EXPECT_EQ(program({"models", "verify", "bad"}).code, 3);
  EXPECT_EQ(program({"models", "show", "bad"}).code, 3);
  EXPECT_THAT(program({"doctor", "--json"}).out, ::testing::AllOf(HasSubstr("\"variants\":[\"bad: "), HasSubstr("\"few\"]")));

  std::vector<std::string> args = {"render", "-p", "a red ball", "--size", "32x32", "--frames", "5", "--model", "few", "--dry-run", "--json"};
  auto dry = [&](std::vector<std::string> more) {
    std::vector<std::string> all = args;
    all.insert(all.end(), more.begin(), more.end());
    Finished f = program(all);
    EXPECT_EQ(f.code, 0) << f.err;
    return nlohmann::json::parse(f.out)["settings"];
  };
  auto settings = dry({});
  EXPECT_EQ(settings["steps"], 4);
  EXPECT_EQ(settings["cfg_scale"], 1);
  EXPECT_EQ(settings["sigmas"], "1,0.9,0.75,0.5");
  settings = dry({"--steps", "6", "--sampler", "unipc"});
  EXPECT_EQ(settings["steps"], 6);
  EXPECT_EQ(settings["sampler"], "unipc");
  EXPECT_FALSE(settings.contains("sigmas"));
  EXPECT_EQ(dry({"--sigmas", "1,0.6,0.3"})["steps"], 3);

  write_all(dir / "night.toml", "[defaults]\nprompt = 'a red ball'\nsize = '32x32'\nframes = 5\nthreads = 1\n[[job]]\nmodel = ['mini', 'few']\nseed = 3\n"
                                "[[job]]\nmodel = 'few'\nsigmas = '1,0.5'\n");
  Finished batch = program({"batch", "night.toml", "--output-dir", "out", "--steps", "2", "--progress", "none"});
  ASSERT_EQ(batch.code, 0) << batch.err;
  auto side = [&](const char* name) { return nlohmann::json::parse(read_all(dir / ("out/" + std::string(name) + ".json"))); };
  EXPECT_EQ(side("0001")["sampler"], "unipc");
  EXPECT_EQ(side("0002")["sampler"], "euler");
  EXPECT_FALSE(side("0002").contains("sigmas"));
  EXPECT_EQ(side("0003")["sigmas"], "1,0.5");
  EXPECT_NE(side("0002")["model_hash"], side("0001")["model_hash"]);
  EXPECT_EQ(program({"verify", "out/0003.mp4"}).code, 0);
}

}  // namespace
}  // namespace zt
