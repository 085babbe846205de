// What a run measures of its own attention, and the optional weights of a linear part's projection.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <set>

#include "model/config/config.h"
#include "model/dit/block.h"
#include "model/dit/recall.h"
#include "model/dit/transformer.h"
#include "model/policy/policy.h"
#include "tests/model/io_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

TEST(KeptShare, OfLogSumExps) {
  const float inf = INFINITY;
  std::vector<float> dense = {1, 2, 3, 4}, plan = {1 + std::log(0.5f), -inf, 3, 4.0000005f};
  KeptShare s = kept_share(plan, dense);
  EXPECT_NEAR(s.mean, (0.5 + 0 + 1 + 1) / 4, 1e-6);
  EXPECT_EQ(s.worst, 0);
  EXPECT_EQ(kept_share(dense, dense).worst, 1);
  EXPECT_EQ(kept_share(std::vector<float>{5}, std::vector<float>{4}).mean, 1) << "rounding may not keep more than all";
  EXPECT_EQ(kept_share(std::vector<float>{NAN}, std::vector<float>{4}).mean, 0);
}

TEST(SampleRows, SeeEveryPlaceInARun) {
  for (int64_t tokens : {65, 100, 576, 5376, 5377, 32760}) {
    Site site;
    site.layers = 30, site.steps = 50;
    std::set<int32_t> seen;
    for (site.step = 0; site.step < site.steps; ++site.step) {
      for (site.layer = 0; site.layer < site.layers; ++site.layer) {
        std::vector<int32_t> rows = sample_rows(site, tokens);
        ASSERT_EQ(rows.size(), 64u);
        for (int32_t b = 0; b < 64; b += 32) {
          for (int32_t i = 0; i < 32; ++i) ASSERT_EQ(rows[size_t(b + i)], rows[size_t(b)] + i);
        }
        ASSERT_GE(*std::min_element(rows.begin(), rows.end()), 0);
        seen.insert(rows.begin(), rows.end());
        Site other = site;
        other.branch = Branch::uncond;
        ASSERT_EQ(sample_rows(other, tokens), rows);
      }
    }
    EXPECT_EQ(int64_t(seen.size()), tokens);
    EXPECT_EQ(*seen.rbegin(), tokens - 1);
  }
  EXPECT_THAT(sample_rows(Site(), 3), ::testing::ElementsAre(0, 1, 2));
}

// One self-attention of a model: q, k, v side by side in a matrix of tokens, as the transformer hands them over.
struct SelfAttention {
  SelfAttention(testing::Machine& m, Grid grid, int64_t heads, int64_t head_dim, DType type)
      : heads_(heads),
        d_(head_dim),
        n_(grid.tokens()),
        qkv(random_tensor(m.arena, type, {n_, 3 * heads * head_dim}, 3)),
        out(must(m.arena.zeros(type, {n_, heads * head_dim}))) {
    site.grid = grid, site.step = 2, site.steps = 4, site.layer = 1, site.layers = 3;
    args.q = view(qkv, 0), args.k = view(qkv, 1), args.v = view(qkv, 2), args.out = view(out, 0);
  }
  TensorView view(const Tensor& t, int64_t part) const {
    TensorView v = t.view().slice(1, part * heads_ * d_, heads_ * d_), heads = v;
    heads.shape = {1, heads_, n_, d_};
    heads.strides = {n_ * v.stride(0), d_, v.stride(0), 1, 0};
    return heads;
  }
  double at(const TensorView& t, int64_t h, int64_t i, int64_t c) const {
    return double(load_float(t.data, t.dtype, h * t.stride(1) + i * t.stride(2) + c));
  }
  // Row i of head h over the keys of `keep` (empty: all): its output, and the sum of its exponentials.
  std::vector<double> row(int64_t h, int64_t i, const std::vector<uint8_t>& keep, double& sum) const {
    std::vector<double> o(size_t(d_), 0.0);
    sum = 0;
    for (int64_t j = 0; j < n_; ++j) {
      if (!keep.empty() && !keep[size_t(j)]) continue;
      double dot = 0;
      for (int64_t c = 0; c < d_; ++c) dot += at(args.q, h, i, c) * at(args.k, h, j, c);
      double w = std::exp(dot / std::sqrt(double(d_)));
      sum += w;
      for (int64_t c = 0; c < d_; ++c) o[size_t(c)] += w * at(args.v, h, j, c);
    }
    for (double& x : o) x = sum > 0 ? x / sum : 0;
    return o;
  }
  int64_t heads_, d_, n_;
  Tensor qkv, out;
  Site site;
  AttentionArgs args;
};

TEST(RecallMeter, MeasuresSampledRowsAndChangesNothing) {
  const Grid grid{5, 5, 13};  // the last block of this mask has no keys
  for (DType type : {DType::f32, DType::bf16}) {
    for (const char* spec : {"radial:block=64", "radial:decay=0.5,block=64,variant=exact,near=decay,sink=0"}) {
      SCOPED_TRACE(std::string(spec) + " " + std::string(dtype_name(type)));
      auto one = make_machine(detect_isa(), 1), two = make_machine(detect_isa(), 2);
      SelfAttention plain(*two, grid, 3, 32, type), measured(*two, grid, 3, 32, type), single(*one, grid, 3, 32, type);
      std::vector<AttentionRecord> records[3];
      AttentionRecord record;
      RecallMeter meter;
      SelfAttention* calls[] = {&plain, &measured, &single};
      for (size_t i = 0; i < 3; ++i) {
        AttentionDriver driver(must(make_policy(spec)));
        driver.records = &records[i];
        if (i > 0) driver.hooks = {&meter};
        ZT_ASSERT_OK(driver.attend(calls[i]->site, calls[i]->args, nullptr, i == 2 ? one->ctx : two->ctx));
        ASSERT_EQ(records[i].size(), 1u);
      }
      EXPECT_EQ(to_floats(plain.out), to_floats(measured.out));
      EXPECT_EQ(to_floats(plain.out), to_floats(single.out));
      PlanPtr plan = must(static_plan(*must(make_policy(spec)), grid, 3, {}));
      std::vector<uint8_t> mask = must(plan->expand(0));
      std::vector<int32_t> rows = sample_rows(measured.site, grid.tokens());
      // As in attn_test.cpp: logits to d eps in f32; bf16 rounds probabilities and outputs to 2^-9 of themselves.
      double rounding = type == DType::f32 ? 4e-6 : 0x1p-9;
      for (int64_t h = 0; h < 3; ++h) {
        double recall = 0, worst = 1, error = 0, norm = 0;
        for (int32_t i : rows) {
          double kept = 0, all = 0;
          std::vector<uint8_t> keep(mask.begin() + i * plan->nk(), mask.begin() + (i + 1) * plan->nk());
          std::vector<double> got = measured.row(h, i, keep, kept), want = measured.row(h, i, {}, all);
          recall += kept / all / double(rows.size()), worst = std::min(worst, kept / all);
          for (size_t c = 0; c < got.size(); ++c) error += (got[c] - want[c]) * (got[c] - want[c]), norm += want[c] * want[c];
        }
        const HeadRecord& r = records[1][0].heads[size_t(h)];
        EXPECT_DOUBLE_EQ(r.density, plan->density());
        EXPECT_NEAR(r.recall, recall, 4 * rounding);
        EXPECT_NEAR(r.recall_worst, worst, 4 * rounding);
        EXPECT_NEAR(r.rel_l2, std::sqrt(error / norm), 4 * rounding);
        EXPECT_LT(r.recall, 0.9) << "the mask loses something";
        EXPECT_EQ(r.recall, records[2][0].heads[size_t(h)].recall) << "the same for every thread count";
        EXPECT_EQ(r.rel_l2, records[2][0].heads[size_t(h)].rel_l2);
        EXPECT_EQ(records[0][0].heads[size_t(h)].recall, 1) << "nobody looked";
      }
      EXPECT_GT(meter.seconds(), 0);
    }
  }
}

TEST(RecallMeter, DenseAttentionIsNotMeasured) {
  auto m = make_machine();
  SelfAttention call(*m, {2, 4, 8}, 2, 16, DType::f32);
  std::vector<AttentionRecord> records;
  RecallMeter meter;
  AttentionDriver driver(must(make_policy("dense")));
  driver.records = &records, driver.hooks = {&meter};
  ZT_ASSERT_OK(driver.attend(call.site, call.args, nullptr, m->ctx));
  EXPECT_EQ(meter.seconds(), 0);
  EXPECT_EQ(records[0].heads[1].recall_worst, 1);
  EXPECT_EQ(records[0].heads[1].rel_l2, 0);
}

TEST(RecallMeter, HoldsWhatItSays) {
  for (DType type : {DType::f32, DType::bf16}) {
    auto m = make_machine();
    SelfAttention call(*m, {9, 8, 8}, 4, 64, type);
    size_t before = m->arena.current();
    m->arena.reset_peak();
    {
      AttentionDriver plain(must(make_policy("radial:block=64")));
      ZT_ASSERT_OK(plain.attend(call.site, call.args, nullptr, m->ctx));
    }
    size_t without = m->arena.peak() - before;
    m->arena.reset_peak();
    RecallMeter meter;
    AttentionDriver driver(must(make_policy("radial:block=64")));
    driver.hooks = {&meter};
    for (call.site.step = 0; call.site.step < 4; ++call.site.step)
      ZT_ASSERT_OK(driver.attend(call.site, call.args, nullptr, m->ctx));
    EXPECT_EQ(m->arena.peak() - before - without, RecallMeter().bytes({call.site.grid, 1, 4, 64, 1, type}, m->ctx));
  }
}

// The transformer of a golden pipeline, its tensors written again with others beside them.
class Projection : public ::testing::Test {
 protected:
  static constexpr const char* kPipeline = "tests/golden/pipelines/heads2x12";
  static std::string original(std::string name) {
    auto swap = [&](const std::string& from, const std::string& to) {
      if (size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
    };
    if (!name.starts_with("blocks.")) return name;
    swap(".attn1.to_out.0.", ".self_attn.o."), swap(".attn1.to_", ".self_attn."), swap(".attn1.", ".self_attn.");
    swap(".norm2.", ".norm3.");
    return name;
  }
  void SetUp() override {
    model = must(open_model_folder(source_file(kPipeline)));
    for (int64_t i = 0; i < 2; ++i) {
      weight[i] = random_tensor(arena, DType::bf16, {12, 12}, uint64_t(20 + i));
      bias[i] = random_tensor(arena, DType::bf16, {12}, uint64_t(30 + i));
    }
  }
  // The file with proj_l under blocks.N.<at>; without the tensors named in `skip`.
  WeightStore store(const std::string& at, bool original_names, const std::set<std::string>& skip = {}) {
    source = must(SafetensorsFile::open(model.transformer + "/diffusion_pytorch_model.safetensors"));
    std::vector<NamedTensor> list;
    for (const auto& [name, view] : source.tensors) list.push_back({original_names ? original(name) : name, view});
    for (int64_t i = 0; i < 2; ++i) {
      for (auto [name, t] : {std::pair{".weight", &weight[i]}, std::pair{".bias", &bias[i]}}) {
        std::string full = fmt::format("blocks.{}.{}{}", i, at, name);
        if (!skip.count(full)) list.push_back({full, *t});
      }
    }
    std::string path = test_folder() + "/w.safetensors";
    Status s = write_safetensors(path, list);
    EXPECT_TRUE(s.ok()) << s.message();
    return must(WeightStore::open(path));
  }
  Arena arena;
  ModelFolder model;
  SafetensorsFile source;
  Tensor weight[2], bias[2];
};

// Every row reads its own block; the rest goes through the linear part and its projection.
class LinearPolicy final : public AttentionPolicy {
 public:
  std::string_view name() const override { return "linear"; }
  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext&) override {
    saw_projection &= in.projection;
    PlanParts p;
    p.q = p.k = Blocks::uniform(in.q.dim(2), 4);
    p.row_offsets.resize(p.q.valid.size() + 1);
    std::iota(p.row_offsets.begin(), p.row_offsets.end(), 0);
    p.cols.resize(p.q.valid.size());
    std::iota(p.cols.begin(), p.cols.end(), 0);
    p.linear.emplace();
    p.linear->projection = true;
    return AttentionPlan::make(std::move(p));
  }
  bool saw_projection = true;
};

struct SeesProjection final : AttentionHook {
  std::vector<std::vector<float>> weights, biases;
  Status after(const Site& site, const AttentionPlan&, const AttentionArgs& args, AttentionRecord&, const ExecContext&) override {
    if (site.kind == AttentionKind::self)
      weights.push_back(to_floats(args.proj_weight)), biases.push_back(to_floats(args.proj_bias));
    return {};
  }
};

Status forward(const ModelFolder& model, WeightStore& store, std::shared_ptr<AttentionPolicy> policy, AttentionHook* hook,
               const ExecContext& ctx) {
  auto expected = must(SafetensorsFile::open(model.root + "/expected.safetensors"));
  ZT_ASSIGN_OR_RETURN(auto t, Transformer::load(model.transformer_config, store, DType::f32, ctx));
  TensorView x = expected.tensors.at("init_latents");
  ZT_RETURN_IF_ERROR(t->prepare(x.shape, ctx));
  ZT_ASSIGN_OR_RETURN(auto text, t->encode_text(expected.tensors.at("prompt_embeds"), model.max_text_tokens, ctx));
  ZT_ASSIGN_OR_RETURN(Tensor v, ctx.arena->make(DType::f32, x.shape));
  AttentionDriver attention(std::move(policy));
  if (hook) attention.hooks = {hook};
  Conditioning cond;
  cond.text = text.get(), cond.frame_timesteps = {500};
  return t->forward(x, cond, attention, v, ctx);
}

TEST_F(Projection, ReachesEverySelfAttention) {
  auto m = make_machine();
  for (const char* at : {"attn1.", "self_attn."}) {
    for (const char* path : {"attn_op.local_attn.proj_l", "attn_impl.proj_l", "local_attn.proj_l", "proj_l"}) {
      SCOPED_TRACE(std::string(at) + path);
      WeightStore w = store(std::string(at) + path, std::string(at) == "self_attn.");
      auto policy = std::make_shared<LinearPolicy>();
      SeesProjection hook;
      ZT_ASSERT_OK(forward(model, w, policy, &hook, m->ctx));
      EXPECT_TRUE(policy->saw_projection);
      ASSERT_EQ(hook.weights.size(), 2u);
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(hook.weights[i], to_floats(weight[i]));
        EXPECT_EQ(hook.biases[i], to_floats(bias[i]));
      }
    }
  }
}

TEST_F(Projection, AllLayersOrNone) {
  auto refused = [&](WeightStore w, std::initializer_list<std::string> words) {
    expect_bad_model(check_transformer_weights(model.transformer_config, w), words);
  };
  refused(store("attn1.proj_l", false, {"blocks.1.attn1.proj_l.weight", "blocks.1.attn1.proj_l.bias"}),
          {"2 missing", "blocks.1.attn1.proj_l.weight"});
  refused(store("attn1.proj_l", false, {"blocks.0.attn1.proj_l.weight", "blocks.0.attn1.proj_l.bias"}),
          {"2 missing", "blocks.0.attn1.proj_l.bias"});
  refused(store("self_attn.attn_op.local_attn.proj_l", true, {"blocks.1.self_attn.attn_op.local_attn.proj_l.bias"}),
          {"1 missing", "blocks.1.self_attn.attn_op.local_attn.proj_l.bias"});
  refused(store("attn1.proj_m", false), {"4 extra"});
  weight[1] = random_tensor(arena, DType::bf16, {12, 13}, 1);
  refused(store("attn1.proj_l", false), {"blocks.1.attn1.proj_l.weight is [12, 13], expected [12, 12]"});
}

TEST_F(Projection, AModelWithoutItCannotRunAPlanThatProjects) {
  auto m = make_machine();
  WeightStore w = must(WeightStore::open(model.transformer));
  Status s = forward(model, w, std::make_shared<LinearPolicy>(), nullptr, m->ctx);
  EXPECT_EQ(int(s.code()), int(Code::kInvalid));
  EXPECT_THAT(s.message(), HasSubstr("proj_l"));
}

}  // namespace
}  // namespace zt
