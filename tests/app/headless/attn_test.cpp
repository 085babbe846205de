// zoetrope attn: outputs, log-sum-exps and recall against sums written out here; and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/plan/plan_text.h"
#include "model/io/safetensors.h"
#include "model/policy/policy.h"
#include "tests/app/headless/program.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace zt::testing;
using nlohmann::json;

using Rows = std::vector<double>;

struct Heads {
  int64_t heads, n, d;
  Rows q, k, v;  // [H, N, D]
  double dot(int64_t h, int64_t i, int64_t j) const {
    double sum = 0;
    for (int64_t c = 0; c < d; ++c) sum += q[size_t((h * n + i) * d + c)] * k[size_t((h * n + j) * d + c)];
    return sum / std::sqrt(double(d));
  }
};

struct Answer {
  Rows out, lse;
};

// keep(h, i, j): whether query i of head h reads key j.
template <class Keep>
Answer attention(const Heads& x, Keep&& keep) {
  Answer a{Rows(x.q.size(), 0.0), Rows(size_t(x.heads * x.n), -INFINITY)};
  for (int64_t h = 0; h < x.heads; ++h) {
    for (int64_t i = 0; i < x.n; ++i) {
      double sum = 0;
      double* out = &a.out[size_t((h * x.n + i) * x.d)];
      for (int64_t j = 0; j < x.n; ++j) {
        if (!keep(h, i, j)) continue;
        double w = std::exp(x.dot(h, i, j));
        sum += w;
        for (int64_t c = 0; c < x.d; ++c) out[c] += w * x.v[size_t((h * x.n + j) * x.d + c)];
      }
      for (int64_t c = 0; c < x.d && sum > 0; ++c) out[c] /= sum;
      a.lse[size_t(h * x.n + i)] = std::log(sum);
    }
  }
  return a;
}

Rows doubles(const TensorView& t) {
  std::vector<float> f = to_floats(t);
  return {f.begin(), f.end()};
}

double relative(const Rows& a, const Rows& b) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) error += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
  return std::sqrt(error / norm);
}

class Attn : public ::testing::Test {
 protected:
  // Random heads as tensors of type `stored`, written to qkv.safetensors; the numbers as `type` holds them.
  Heads make(int64_t heads, int64_t n, int64_t d, DType stored = DType::f32, DType type = DType::f32,
             std::vector<NamedTensor> more = {}) {
    Heads x{heads, n, d, {}, {}, {}};
    Tensor t[3];
    Rows* rows[] = {&x.q, &x.k, &x.v};
    std::vector<NamedTensor> list = std::move(more);
    for (uint64_t i = 0; i < 3; ++i) {
      t[i] = random_tensor(arena, stored, {heads, n, d}, 11 + i);
      for (float v : to_floats(t[i])) rows[i]->push_back(double(type == DType::bf16 ? float(bf16(v)) : v));
      list.push_back({std::string(1, "qkv"[i]), t[i]});
    }
    Status s = write_safetensors(dir / "qkv.safetensors", list);
    EXPECT_TRUE(s.ok()) << s.message();
    return x;
  }
  json attn(std::vector<std::string> args) {
    args.insert(args.begin(), {"attn", "--qkv", "qkv.safetensors", "--json"});
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 0) << f.err;
    return f.code == 0 ? json::parse(f.out) : json();
  }
  Answer written() {
    auto f = must(SafetensorsFile::open(dir / "out.safetensors"));
    EXPECT_EQ(f.tensors.size(), 2u);
    EXPECT_EQ(f.tensors.at("out").dtype, DType::f32);
    EXPECT_EQ(f.tensors.at("lse").dtype, DType::f32);
    return {doubles(f.tensors.at("out")), doubles(f.tensors.at("lse"))};
  }
  Arena arena;
  TempFolder dir;
};

struct Case {
  const char* spec;
  const char* grid;
  Grid as_grid;
  int64_t d;
};
const Case kCases[] = {
    {"dense", "3x5x7", {3, 5, 7}, 64},
    {"dense", "1x1x1", {1, 1, 1}, 8},
    {"radial:decay=0.2,block=64,dense_steps=3", "7x9x13", {7, 9, 13}, 64},
    {"radial:block=64", "5x5x13", {5, 5, 13}, 16},  // the last block has no keys
    {"window:window=3x3x5,tile=2x3x4", "5x7x9", {5, 7, 9}, 24},
};

TEST_F(Attn, SoftmaxOverTheKeptPairs) {
  for (DType type : {DType::f32, DType::bf16}) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(std::string(c.spec) + (type == DType::f32 ? " f32" : " bf16"));
      Heads x = make(2, c.as_grid.tokens(), c.d, DType::f32, type);
      json j = attn({"--grid", c.grid, "--attn", c.spec, "--precision", type == DType::f32 ? "f32" : "bf16", "--recall",
                     "--repeat", "1", "-o", "out.safetensors", "--overwrite"});
      PlanPtr plan = must(static_plan(*must(make_policy(c.spec)), c.as_grid, 2, {}));
      std::vector<uint8_t> mask = must(plan->expand(0));
      Answer want = attention(x, [&](int64_t, int64_t i, int64_t k) { return mask[size_t(i * x.n + k)] != 0; });
      Answer dense = attention(x, [](int64_t, int64_t, int64_t) { return true; }), got = written();
      // f32: a logit of size ~1 is off by at most d eps, 4e-6. bf16: probabilities and output round to 2^-9 of themselves.
      double rounding = type == DType::f32 ? 4e-6 : 0x1p-9;
      EXPECT_LT(relative(got.out, want.out), 2 * rounding);
      double recall = 0, worst = 1;
      for (size_t i = 0; i < want.lse.size(); ++i) {
        if (std::isinf(want.lse[i])) {
          EXPECT_EQ(got.lse[i], -INFINITY);
          for (int64_t k = 0; k < c.d; ++k) EXPECT_EQ(got.out[i * size_t(c.d) + size_t(k)], 0);
        } else {
          EXPECT_NEAR(got.lse[i], want.lse[i], 2 * rounding);
        }
        double kept = std::exp(want.lse[i] - dense.lse[i]);
        recall += kept / double(want.lse.size()), worst = std::min(worst, kept);
      }
      EXPECT_DOUBLE_EQ(j["density"].get<double>(), plan->density());
      EXPECT_NEAR(j["recall"].get<double>(), recall, 4 * rounding);
      EXPECT_NEAR(j["recall_worst"].get<double>(), worst, 4 * rounding);
      EXPECT_NEAR(j["rel_l2"].get<double>(), relative(want.out, dense.out), 4 * rounding);
      for (const char* key : {"run_ms", "plan_ms"}) EXPECT_GE(j[key].get<double>(), 0) << key;
    }
  }
}

TEST_F(Attn, DenseKeepsEverything) {
  make(2, 30, 16);
  json j = attn({"--grid", "1x5x6", "--attn", "dense", "--recall"});
  EXPECT_EQ(j["recall"], 1);
  EXPECT_EQ(j["recall_worst"], 1);
  EXPECT_EQ(j["rel_l2"], 0);
  EXPECT_EQ(j["density"], 1);
  EXPECT_EQ(dir.entries().size(), 1u) << "without -o nothing is written";
}

TEST_F(Attn, HalfPrecisionStorage) {
  for (DType stored : {DType::f16, DType::bf16}) {
    Heads x = make(1, 12, 8, stored);
    attn({"--grid", "3x2x2", "--attn", "dense", "-o", "out.safetensors", "--overwrite"});
    EXPECT_LT(relative(written().out, attention(x, [](int64_t, int64_t, int64_t) { return true; }).out), 8e-6);
  }
}

// A plan file with a linear part: 45 tokens in blocks of 16, so the last one is short; every row leaves something out, one
// row leaves out everything. out = softmax part + W (phi(q) . sum phi(k) v / phi(q) . sum phi(k)) + b.
TEST_F(Attn, LinearPartOfAPlanFile) {
  const int64_t n = 45, d = 8, block = 16;
  Tensor w = random_tensor(arena, DType::f32, {d, d}, 5), b = random_tensor(arena, DType::f32, {d}, 6);
  Heads x = make(2, n, d, DType::f32, DType::f32, {{"proj_l.weight", w}, {"proj_l.bias", b}});
  PlanParts parts;
  parts.q = parts.k = Blocks::uniform(n, block);
  parts.row_offsets = {0, 1, 3, 3};
  parts.cols = {2, 0, 2};
  parts.linear.emplace();
  parts.linear->projection = true;
  auto kept = [&](int64_t i, int64_t j) {
    int64_t r = i / block, c = j / block;
    return (r == 0 && c == 2) || (r == 1 && c != 1);
  };
  write_all(dir / "p.toml", plan_to_text(*must(AttentionPlan::make(parts))));
  json j = attn({"--grid", "5x3x3", "--attn", "@p.toml", "-o", "out.safetensors", "--recall"});
  Answer want = attention(x, [&](int64_t, int64_t i, int64_t k) { return kept(i, k); });
  Answer dense = attention(x, [](int64_t, int64_t, int64_t) { return true; });
  auto phi = [&](const Rows& rows, int64_t h, int64_t i) {
    Rows f(rows.begin() + (h * n + i) * d, rows.begin() + (h * n + i + 1) * d);
    double sum = 0;
    for (double& v : f) sum += v = std::exp(v);
    for (double& v : f) v /= sum;
    return f;
  };
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t i = 0; i < n; ++i) {
      Rows fq = phi(x.q, h, i), sum(size_t(d), 0.0);
      double norm = 0;
      for (int64_t k = 0; k < n; ++k) {
        if (kept(i, k)) continue;
        Rows fk = phi(x.k, h, k);
        double weight = 0;
        for (int64_t c = 0; c < d; ++c) weight += fq[size_t(c)] * fk[size_t(c)];
        norm += weight;
        for (int64_t c = 0; c < d; ++c) sum[size_t(c)] += weight * x.v[size_t((h * n + k) * d + c)];
      }
      for (int64_t c = 0; c < d; ++c) {
        double y = double(b.as<float>()[c]);
        for (int64_t e = 0; e < d; ++e) y += double(w.as<float>()[c * d + e]) * sum[size_t(e)] / norm;
        want.out[size_t((h * n + i) * d + c)] += y;
      }
    }
  }
  EXPECT_LT(relative(written().out, want.out), 8e-6);
  EXPECT_NEAR(j["rel_l2"].get<double>(), relative(want.out, dense.out), 2e-5);
  EXPECT_EQ(j["recall_worst"], 0) << "rows without keys keep nothing of the softmax";
  // Without its weights the same plan cannot run.
  make(2, n, d);
  Finished f = run(dir, {"attn", "--qkv", "qkv.safetensors", "--grid", "5x3x3", "--attn", "@p.toml"});
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, HasSubstr("proj_l"));
}

TEST_F(Attn, Implementation) {
  make(1, 12, 16);
  EXPECT_EQ(attn({"--grid", "3x2x2", "--attn", "dense", "--impl", "ref"})["implementation"], "ref");
  Finished f = run(dir, {"attn", "--qkv", "qkv.safetensors", "--grid", "3x2x2", "--attn", "dense", "--impl", "turbo"});
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, AllOf(HasSubstr("no implementation 'turbo'"), HasSubstr("ref")));
  f = run(dir, {"attn", "--qkv", "qkv.safetensors", "--grid", "3x2x2", "--attn", "dense", "--impl", "cpu_avx2"},
          {"ZOETROPE_MAX_ISA=generic"});
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, HasSubstr("cpu_avx2 cannot run this: needs avx2"));
}

TEST_F(Attn, Text) {
  make(1, 12, 16);
  Finished f = run(dir, {"attn", "--qkv", "qkv.safetensors", "--grid", "3x2x2", "--attn", "dense", "-o", "out.safetensors"});
  EXPECT_EQ(f.code, 0) << f.err;
  EXPECT_THAT(f.out, AllOf(HasSubstr("run_ms"), HasSubstr("density              1.0\n")));
  EXPECT_EQ(f.err, "");
}

TEST_F(Attn, Refuses) {
  make(2, 12, 8);
  auto says = [&](std::vector<std::string> more, const char* word) {
    std::vector<std::string> args = {"attn", "--qkv", "qkv.safetensors", "--grid", "3x2x2", "--attn", "dense"};
    args.insert(args.end(), more.begin(), more.end());
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 2) << f.err;
    EXPECT_THAT(f.err, HasSubstr(word));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err;
    EXPECT_EQ(f.out, "");
  };
  auto file_says = [&](const std::vector<NamedTensor>& tensors, const char* word) {
    ASSERT_TRUE(write_safetensors(dir / "bad.safetensors", tensors).ok());
    Finished f = run(dir, {"attn", "--qkv", "bad.safetensors", "--grid", "3x2x2", "--attn", "dense", "-o", "x.safetensors"});
    EXPECT_EQ(f.code, 2) << f.err;
    EXPECT_THAT(f.err, HasSubstr(word));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err;
    EXPECT_EQ(dir.entries().count("x.safetensors"), 0u);
  };
  says({"--attn", "dens"}, "--attn");
  says({"--precision", "f16"}, "--precision");
  says({"--repeat", "0"}, "--repeat");
  auto grid_says = [&](const char* grid, const char* word) {
    Finished f = run(dir, {"attn", "--qkv", "qkv.safetensors", "--grid", grid, "--attn", "dense"});
    EXPECT_EQ(f.code, 2) << f.err;
    EXPECT_THAT(f.err, HasSubstr(word));
  };
  for (const char* grid : {"3x2x3", "1x1x1", "12x1x2", "999999999x999999999x999999999"}) grid_says(grid, "hold 12 tokens");
  for (const char* grid : {"", "3x4", "0x2x6", "3x2x2x1"}) grid_says(grid, "TxHxW");
  write_all(dir / "out.safetensors", "mine");
  says({"-o", "out.safetensors"}, "--overwrite");
  EXPECT_EQ(read_all(dir / "out.safetensors"), "mine");
  says({"-o", "none/out.safetensors"}, "none");
  write_all(dir / "p.toml", plan_to_text(*AttentionPlan::dense(13, 13)));
  Finished f = run(dir, {"attn", "--qkv", "qkv.safetensors", "--grid", "3x2x2", "--attn", "@p.toml"});
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, HasSubstr("13 x 13"));

  Tensor good = random_tensor(arena, DType::f32, {2, 12, 8}, 1), flat = random_tensor(arena, DType::f32, {12, 8}, 1);
  Tensor longer = random_tensor(arena, DType::f32, {2, 13, 8}, 1), none = must(arena.zeros(DType::f32, {0, 12, 8}));
  Tensor nan = random_tensor(arena, DType::f32, {2, 12, 8}, 1), numbers = must(arena.zeros(DType::i32, {2, 12, 8}));
  Tensor square = random_tensor(arena, DType::f32, {8, 8}, 2), oblong = random_tensor(arena, DType::f32, {8, 9}, 2);
  Tensor bias = random_tensor(arena, DType::f32, {8}, 2);
  nan.as<float>()[17] = NAN;
  file_says({{"q", good}, {"k", good}}, "no tensor `v`");
  file_says({{"q", flat}, {"k", flat}, {"v", flat}}, "3 axes");
  file_says({{"q", good}, {"k", longer}, {"v", good}}, "tensor `k` is [2, 13, 8]");
  file_says({{"q", good}, {"k", good}, {"v", longer}}, "tensor `v`");
  file_says({{"q", none}, {"k", none}, {"v", none}}, "empty");
  file_says({{"q", good}, {"k", nan}, {"v", good}}, "tensor `k` holds a value that is not finite (element 17)");
  file_says({{"q", numbers}, {"k", good}, {"v", good}}, "f32, bf16 or f16");
  file_says({{"q", good}, {"k", good}, {"v", good}, {"proj_l.bias", bias}}, "both or neither");
  file_says({{"q", good}, {"k", good}, {"v", good}, {"proj_l.bias", bias}, {"proj_l.weight", oblong}}, "[8, 8] and [8]");
  file_says({{"q", good}, {"k", good}, {"v", good}, {"proj_l.bias", square}, {"proj_l.weight", square}}, "1 axes");
  write_all(dir / "bad.safetensors", "this is no tensor file");
  for (const char* name : {"bad.safetensors", "none.safetensors", "/dev/null", "."}) {
    Finished g = run(dir, {"attn", "--qkv", name, "--grid", "3x2x2", "--attn", "dense"});
    EXPECT_EQ(g.code, 2) << g.err;
    EXPECT_THAT(g.err, HasSubstr("--qkv"));
    EXPECT_EQ(std::count(g.err.begin(), g.err.end(), '\n'), 1) << g.err;
  }
}

}  // namespace
}  // namespace zt
