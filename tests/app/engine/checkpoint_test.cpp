// Damaged and hostile checkpoints: refused with the field named, without memory for what they claim.
#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "app/engine/checkpoint.h"
#include "app/engine/report.h"
#include "kernels/plan/sha256.h"
#include "tests/app/engine/tiny_render.h"
#include "tests/support/memory_limit.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using namespace zt::testing;
using nlohmann::json;

constexpr int64_t kCount = 16 * 2 * 4 * 4;
const Shape kShape{16, 2, 4, 4};
const CheckpointKey kKey{std::string(64, 'a'), std::string(64, 'b'), 20, std::string(16, 'c')};

class CheckpointFile : public ::testing::Test {
 protected:
  CheckpointFile() : values_(kCount, 0.5f) {
    state_.step = 7, state_.steps = 20, state_.noise = "philox 42 1", state_.policy = "remembered";
    state_.latents = view();
    for (const char* name : {"corrected", "x0_even", "x0_odd"}) state_.solver.emplace_back(name, view());
  }
  TensorView view() { return {values_.data(), DType::f32, kShape}; }
  std::string path() const { return dir / ".a.checkpoint"; }
  std::string good() {
    EXPECT_TRUE(write_checkpoint(path(), kKey, state_, nullptr).ok());
    return read_all(path());
  }
  Status read(const std::string& bytes) {
    write_all(path(), bytes);
    MemoryLimit limit;
    auto r = read_checkpoint(path(), kKey);
    return r.ok() ? ok_status() : r.status();
  }
  std::vector<float> values_;
  DenoiseState state_;
  TempFolder dir;
};

TEST_F(CheckpointFile, GoesRound) {
  good();
  auto r = read_checkpoint(path(), kKey);
  ASSERT_TRUE(r.ok()) << r.status().message();
  EXPECT_EQ(r->state.step, 7);
  EXPECT_EQ(r->state.steps, 20);
  EXPECT_EQ(r->state.noise, state_.noise);
  EXPECT_EQ(r->state.policy, state_.policy);
  ASSERT_EQ(r->state.solver.size(), 3u);
  EXPECT_EQ(std::memcmp(r->state.latents.data, values_.data(), values_.size() * sizeof(float)), 0);
}

// A file as parts that can be bent; written with a checksum that fits, so that the field and not the sum is what is wrong.
struct Parts {
  std::map<std::string, std::string> metadata;
  struct Entry {
    std::string name, dtype;
    std::vector<int64_t> shape;
    std::string data;
  };
  std::vector<Entry> entries;
  bool sum = true;
};

std::string floats(int64_t n, float v = 0.5f) {
  std::vector<float> f(size_t(n), v);
  return {reinterpret_cast<const char*>(f.data()), f.size() * sizeof(float)};
}

Parts good_parts() {
  Parts p;
  p.metadata = {{"format", "zoetrope-checkpoint 1"}, {"settings_hash", kKey.settings_hash}, {"attention", kKey.attention},
                {"step", "7"},                       {"steps", "20"},                       {"noise", "philox 42 1"},
                {"model_hash", kKey.model_hash}};
  for (const char* name : {"latents", "solver.x0_even", "solver.x0_odd"}) p.entries.push_back({name, "F32", {16, 2, 4, 4}, floats(kCount)});
  p.entries.push_back({"policy", "U8", {10}, "remembered"});
  return p;
}

std::string bytes_of(Parts p) {
  static const std::map<std::string, std::string> names = {{"F32", "f32"}, {"U8", "u8"}, {"BF16", "bf16"}, {"I32", "i32"}};
  if (p.sum) {
    Sha256 sha;
    auto text = [&](const std::string& s) {
      uint64_t n = s.size();
      sha.add(&n, sizeof n), sha.add(s);
    };
    for (const auto& [k, v] : p.metadata) text(k), text(v);
    auto sorted = p.entries;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const auto& e : sorted) {
      text(e.name), text(names.count(e.dtype) ? names.at(e.dtype) : e.dtype);
      text(Shape(std::span<const int64_t>(e.shape)).str());
      sha.add(e.data);
    }
    std::string hex;
    for (uint8_t b : sha.finish()) hex += fmt::format("{:02x}", b);
    p.metadata["checksum"] = hex;
  }
  nlohmann::ordered_json header;
  header["__metadata__"] = p.metadata;
  std::string data;
  for (const auto& e : p.entries) {
    header[e.name] = {{"dtype", e.dtype}, {"shape", e.shape}, {"data_offsets", {data.size(), data.size() + e.data.size()}}};
    data += e.data;
  }
  std::string head = header.dump();
  head.append((8 - head.size() % 8) % 8, ' ');
  uint64_t n = head.size();
  return std::string(reinterpret_cast<const char*>(&n), 8) + head + data;
}

struct Bad {
  const char* name;
  const char* word;
  std::function<void(Parts&)> bend;
};
void PrintTo(const Bad& b, std::ostream* out) { *out << b.name; }

class BadField : public CheckpointFile, public ::testing::WithParamInterface<Bad> {};

TEST_P(BadField, IsNamed) {
  Parts p = good_parts();
  GetParam().bend(p);
  Status s = read(bytes_of(p));
  ASSERT_FALSE(s.ok());
  EXPECT_THAT(s.message(), HasSubstr(GetParam().word));
  EXPECT_EQ(s.message().find('\n'), std::string::npos);
}

auto set(const char* key, const char* value) {
  return [=](Parts& p) { p.metadata[key] = value; };
}
auto drop(const char* key) {
  return [=](Parts& p) { p.metadata.erase(key); };
}
auto entry(size_t i, std::function<void(Parts::Entry&)> f) {
  return [=](Parts& p) { f(p.entries[i]); };
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadField,
    ::testing::Values(
        Bad{"NoFormat", "format", drop("format")}, Bad{"OtherFormat", "format", set("format", "zoetrope-checkpoint 2")},
        Bad{"NoHash", "settings_hash", drop("settings_hash")}, Bad{"OtherHash", "settings_hash", set("settings_hash", "c")},
        Bad{"NoModel", "model_hash", drop("model_hash")}, Bad{"OtherModel", "model_hash", set("model_hash", "c")},
        Bad{"NoAttention", "attention", drop("attention")}, Bad{"OtherAttention", "attention", set("attention", "c")},
        Bad{"NoStep", "step", drop("step")}, Bad{"StepZero", "step", set("step", "0")},
        Bad{"StepNegative", "step", set("step", "-1")}, Bad{"StepBeyond", "step", set("step", "21")},
        Bad{"StepHuge", "step", set("step", "99999999999999999999")}, Bad{"StepText", "step", set("step", "seven")},
        Bad{"StepFraction", "step", set("step", "7.5")}, Bad{"StepEmpty", "step", set("step", "")},
        Bad{"NoSteps", "steps", drop("steps")}, Bad{"OtherSteps", "steps", set("steps", "30")},
        Bad{"StepsHuge", "steps", set("steps", "1000000000")}, Bad{"NoNoise", "noise", drop("noise")},
        Bad{"UnknownKey", "metadata", set("extra", "1")},
        Bad{"NoLatents", "latents", [](Parts& p) { p.entries.erase(p.entries.begin()); }},
        Bad{"UnknownTensor", "weights", [](Parts& p) { p.entries.push_back({"weights", "F32", {1, 1, 1, 1}, floats(1)}); }},
        Bad{"LatentsHalf", "latents", entry(0, [](auto& e) { e.dtype = "BF16", e.data.resize(kCount * 2); })},
        Bad{"LatentsWhole", "latents", entry(0, [](auto& e) { e.dtype = "I32"; })},
        Bad{"LatentsFlat", "latents", entry(0, [](auto& e) { e.shape = {kCount}; })},
        Bad{"LatentsEmpty", "latents", entry(0, [](auto& e) { e.shape = {16, 2, 0, 4}, e.data.clear(); })},
        Bad{"HistoryOfAnotherSize", "solver.x0_odd",
            entry(2, [](auto& e) { e.shape = {16, 2, 4, 2}, e.data = floats(kCount / 2); })},
        Bad{"PolicyAsFloats", "policy", entry(3, [](auto& e) { e.dtype = "F32", e.shape = {2}, e.data = floats(2); })},
        Bad{"ReportAsFloats", "report", [](Parts& p) { p.entries.push_back({"report", "F32", {2}, floats(2)}); }},
        Bad{"LatentsNaN", "latents: element 0", entry(0, [](auto& e) { e.data = floats(kCount, NAN); })},
        Bad{"HistoryInfinite", "solver.x0_even", entry(1, [](auto& e) { e.data = floats(kCount, INFINITY); })},
        Bad{"ManyTensors", "tensors",
            [](Parts& p) {
              for (int i = 0; i < 20; ++i) p.entries.push_back({fmt::format("solver.t{}", i), "F32", {16, 2, 4, 4}, floats(kCount)});
            }},
        Bad{"NoChecksum", "checksum", [](Parts& p) { p.sum = false; }},
        Bad{"OtherChecksum", "checksum", [](Parts& p) { p.sum = false, p.metadata["checksum"] = std::string(64, '0'); }}),
    [](const auto& bad) { return std::string(bad.param.name); });

// The log of a report goes round, and bytes that are none are no log.
TEST(ReportLogBytes, GoRoundOrAreNone) {
  ReportLog log;
  log.step_s = {0.5, 0.25}, log.measuring_s = 0.125;
  for (int64_t step : {0, 1, 2}) log.records.push_back({step, 3, Branch::uncond, 1, 0.5, 0.25, {{0.5, 0.75, 0.25, 0.1}, {1, 1, 1, 0}}});
  const std::string bytes = pack(log, 2);
  auto back = unpack_report(bytes, 2);
  ASSERT_TRUE(back);
  ASSERT_EQ(back->records.size(), 2u) << "step 2 was cut short";
  EXPECT_EQ(back->records[1].step, 1);
  EXPECT_EQ(back->records[1].layer, 3);
  EXPECT_EQ(back->records[1].branch, Branch::uncond);
  EXPECT_EQ(back->records[1].heads[0].recall, 0.75);
  EXPECT_EQ(back->step_s, log.step_s);
  EXPECT_EQ(pack(*back, 2), bytes);
  EXPECT_TRUE(pack(log, 3).empty());
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(unpack_report(bytes.substr(0, n), 2) && n % 8 != 0) << n;
  EXPECT_FALSE(unpack_report("", 0));
  EXPECT_FALSE(unpack_report(bytes.substr(0, 24), 2));
  EXPECT_FALSE(unpack_report(bytes, 1));
  for (double bad : {-1.0, 1e300, double(NAN), double(INFINITY)}) {
    for (size_t at : {size_t(0), size_t(4), size_t(5)}) {  // heads, step, layer
      std::string bent = bytes;
      std::memcpy(bent.data() + at * 8, &bad, 8);
      EXPECT_FALSE(unpack_report(bent, 2)) << at << ": " << bad;
    }
  }
}

TEST_F(CheckpointFile, GoodPartsAreAccepted) { EXPECT_TRUE(read(bytes_of(good_parts())).ok()) << read(bytes_of(good_parts())).message(); }

TEST_F(CheckpointFile, RawBytesThatAreNoCheckpoint) {
  std::string whole = good();
  auto with_length = [&](uint64_t n) { return std::string(reinterpret_cast<const char*>(&n), 8) + whole.substr(8); };
  for (uint64_t n : {uint64_t(0), uint64_t(1), uint64_t(1) << 20, (uint64_t(1) << 20) + 1, uint64_t(99'000'000), uint64_t(1) << 63,
                     ~uint64_t(0), uint64_t(whole.size() - 7), uint64_t(whole.size())}) {
    Status s = read(with_length(n));
    EXPECT_FALSE(s.ok()) << n;
    EXPECT_THAT(s.message(), HasSubstr("header")) << n;
  }
  for (std::string bytes : {std::string("x"), std::string("1234567"), std::string(8, '\0'), std::string(1000, '{'), whole + "x"}) {
    EXPECT_FALSE(read(bytes).ok()) << bytes.substr(0, 10);
  }
  unlink(path().c_str());
  EXPECT_FALSE(read_checkpoint(path(), kKey).ok());
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_FALSE(read_checkpoint(path(), kKey).ok()) << "must not wait for a writer";
  unlink(path().c_str());
  ASSERT_EQ(symlink("/dev/zero", path().c_str()), 0);
  EXPECT_FALSE(read_checkpoint(path(), kKey).ok());
  unlink(path().c_str());
}

TEST_F(CheckpointFile, EveryTruncationIsRefused) {
  std::string whole = good();
  for (size_t n = 0; n < whole.size(); n += n < 1500 ? 1 : 97) EXPECT_FALSE(read(whole.substr(0, n)).ok()) << n;
}

TEST_F(CheckpointFile, EveryHeaderBitAndManyPayloadBitsCount) {
  std::string whole = good();
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  auto refused = [&](size_t bit) {
    std::string bent = whole;
    bent[bit / 8] = char(bent[bit / 8] ^ (1 << bit % 8));
    return !read(bent).ok();
  };
  for (size_t bit = 0; bit < (8 + header) * 8; ++bit) EXPECT_TRUE(refused(bit)) << "byte " << bit / 8 << ", bit " << bit % 8;
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    size_t bit = (8 + header) * 8 + random() % ((whole.size() - 8 - header) * 8);
    EXPECT_TRUE(refused(bit)) << "byte " << bit / 8;
  }
}

// A sparse file of a terabyte that claims a tensor as large.
TEST_F(CheckpointFile, SizeClaimsCostNothing) {
  std::string head = R"({"latents":{"dtype":"F32","shape":[2147483648,64,1,1],"data_offsets":[0,549755813888]}})";
  uint64_t n = head.size();
  write_all(path(), std::string(reinterpret_cast<const char*>(&n), 8) + head);
  if (truncate(path().c_str(), off_t(8 + head.size() + (uint64_t(1) << 39))) != 0) GTEST_SKIP() << "no sparse files here";
  int64_t before = peak_resident_mb();
  auto r = read_checkpoint(path(), kKey);
  ASSERT_FALSE(r.ok());
  EXPECT_THAT(r.status().message(), HasSubstr("format"));
  EXPECT_LT(peak_resident_mb() - before, 64);
}

// The same through a render: it starts from the beginning and says so.
TEST_F(CheckpointFile, RenderStartsAnewAndSaysWhy) {
  auto runner = make_render_runner(tiny_host());
  JobSpec s = tiny_job(dir / "a.mp4", 3), whole = tiny_job(dir / "b.mp4", 3);
  s.save_latents = dir / "a.safetensors", whole.save_latents = dir / "b.safetensors";
  ASSERT_EQ(run_tiny(*runner, whole).result.code, ExitCode::done);
  ASSERT_EQ(run_tiny(*runner, s, {JobState::denoising, 2}).result.code, ExitCode::interrupted);
  std::string bytes = read_all(path());
  bytes[bytes.size() - 1] = char(bytes.back() ^ 1);
  write_all(path(), bytes);
  s.resume = true;
  TinyRun run = run_tiny(*runner, s);
  EXPECT_EQ(run.result.code, ExitCode::done) << run.result.error;
  EXPECT_TRUE(run.said("checksum"));
  EXPECT_TRUE(run.said("from the beginning"));
  EXPECT_EQ(latents_of(s.save_latents), latents_of(whole.save_latents));
}

}  // namespace
}  // namespace zt
