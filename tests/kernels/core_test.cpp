// Number formats, tensors, the arena and the registry.
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "kernels/api/linear.h"
#include "kernels/api/ops.h"
#include "kernels/core/parallel.h"
#include "kernels/registry/registry.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

TEST(DTypes, EveryF16) {
  for (uint32_t b = 0; b < 0x10000; ++b) {
    double sign = b & 0x8000 ? -1 : 1, m = b & 0x3ff;
    int e = (b >> 10) & 31;
    float got = f16_to_f32(uint16_t(b));
    if (e == 31 && m != 0) {
      ASSERT_TRUE(std::isnan(got)) << b;
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(got)))) << b;
      continue;
    }
    double want = e == 31 ? sign * std::numeric_limits<double>::infinity()
                  : e     ? sign * std::ldexp(1 + m / 1024, e - 15)
                          : sign * std::ldexp(m, -24);
    ASSERT_EQ(double(got), want) << b;
    ASSERT_EQ(f32_to_f16(got), b);
  }
}

TEST(DTypes, F16RoundsToNearestEven) {
  // Between each pair of neighbours: the middle goes to the even one, its neighbours to the nearer one.
  for (uint32_t b = 0; b + 1 < 0x7c00; ++b) {
    float lo = f16_to_f32(uint16_t(b)), hi = f16_to_f32(uint16_t(b + 1)), mid = lo + (hi - lo) / 2;
    ASSERT_EQ(f32_to_f16(mid), b % 2 ? b + 1 : b) << b;
    ASSERT_EQ(f32_to_f16(std::nextafter(mid, lo)), b) << b;
    ASSERT_EQ(f32_to_f16(std::nextafter(mid, hi)), b + 1) << b;
    ASSERT_EQ(f32_to_f16(-mid), (b % 2 ? b + 1 : b) | 0x8000u) << b;
  }
  EXPECT_EQ(f32_to_f16(65519.f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.f), 0x7c00);
}

TEST(DTypes, EveryBf16) {
  for (uint32_t b = 0; b < 0x10000; ++b) {
    bf16 v;
    v.bits = uint16_t(b);
    float f = float(v);
    ASSERT_EQ(std::bit_cast<uint32_t>(f), b << 16);
    if (std::isnan(f)) {
      ASSERT_TRUE(std::isnan(float(bf16(f)))) << b;
    } else {
      ASSERT_EQ(bf16(f).bits, b);
    }
    if ((b & 0x7fff) >= 0x7f7f) continue;
    uint32_t mid = b << 16 | 0x8000;  // half way to the next one: to even
    ASSERT_EQ(bf16(std::bit_cast<float>(mid)).bits, b % 2 ? b + 1 : b);
    ASSERT_EQ(bf16(std::bit_cast<float>(mid - 1)).bits, b);
    ASSERT_EQ(bf16(std::bit_cast<float>(mid + 1)).bits, b + 1);
  }
  EXPECT_TRUE(std::isnan(float(bf16(std::bit_cast<float>(0x7f800001u)))));  // a NaN whose payload is in the low half
}

TEST(DTypes, EveryF8) {
  for (uint32_t b = 0; b < 0x100; ++b) {
    uint8_t v = uint8_t(b);
    double sign = b & 0x80 ? -1 : 1, m3 = b & 7, m2 = b & 3;
    int e4 = (b >> 3) & 15, e5 = (b >> 2) & 31;
    float e4m3 = load_float(&v, DType::f8_e4m3, 0), e5m2 = load_float(&v, DType::f8_e5m2, 0);
    if ((b & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(e4m3));
    } else {
      EXPECT_EQ(double(e4m3), e4 ? sign * std::ldexp(1 + m3 / 8, e4 - 7) : sign * std::ldexp(m3, -9)) << b;
    }
    if (e5 == 31) {
      EXPECT_TRUE(m2 == 0 ? std::isinf(e5m2) : std::isnan(e5m2));
    } else {
      EXPECT_EQ(double(e5m2), e5 ? sign * std::ldexp(1 + m2 / 4, e5 - 15) : sign * std::ldexp(m2, -16)) << b;
    }
  }
}

TEST(DTypes, ConvertFloatsIsLoadAndRound) {
  Random r(3);
  std::vector<uint8_t> bytes(4 * 1001);
  for (auto& b : bytes) b = uint8_t(r.bits());
  for (DType from : {DType::f32, DType::bf16, DType::f16, DType::f8_e4m3, DType::f8_e5m2}) {
    for (DType to : {DType::f32, DType::bf16}) {
      std::vector<uint8_t> out(4 * 1001), want(4 * 1001);
      convert_floats(bytes.data(), from, out.data(), to, 1001);
      for (int64_t i = 0; i < 1001; ++i) {
        float v = load_float(bytes.data(), from, i), got = load_float(out.data(), to, i);
        store_float(want.data(), to, i, v);
        float w = load_float(want.data(), to, i);
        ASSERT_TRUE(got == w || (std::isnan(got) && std::isnan(w))) << dtype_name(from) << " to " << dtype_name(to) << " " << i;
      }
    }
  }
}

TEST(TensorView, SlicePermuteSelect) {
  std::vector<float> v(24);
  for (size_t i = 0; i < 24; ++i) v[i] = float(i);
  TensorView t(v.data(), DType::f32, {2, 3, 4});
  EXPECT_TRUE(t.dense());
  EXPECT_EQ(to_floats(t.slice(1, 1, 1)), (std::vector<float>{4, 5, 6, 7, 16, 17, 18, 19}));
  EXPECT_FALSE(t.slice(1, 0, 2).dense());
  EXPECT_EQ(to_floats(t.select(2, 3)), (std::vector<float>{3, 7, 11, 15, 19, 23}));
  EXPECT_EQ(t.permute({2, 0, 1}).shape, (Shape{4, 2, 3}));
  EXPECT_EQ(to_floats(t.permute({2, 0, 1}).select(0, 1)), (std::vector<float>{1, 5, 9, 13, 17, 21}));
  EXPECT_EQ(t.reshape({6, 4}).stride(0), 4);
  EXPECT_THROW(t.slice(0, 1, 2), Bug);
  EXPECT_THROW(t.slice(1, 0, 2).reshape({16}), Bug);
  EXPECT_THROW(t.as<bf16>(), Bug);
}

TEST(Arena, BooksBudgetAndPeak) {
  Arena a(1 << 20);
  {
    Tensor x = must(a.make(DType::f32, {100}));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(x.data()) % 64, 0u);
    EXPECT_EQ(a.current(), Arena::block_bytes(400));
    Tensor moved = std::move(x);
    EXPECT_EQ(a.current(), Arena::block_bytes(400));
    auto big = a.make(DType::f32, {1 << 20});
    ASSERT_FALSE(big.ok());
    EXPECT_EQ(big.status().code(), Code::kTooBig);
    EXPECT_EQ(a.current(), Arena::block_bytes(400));
  }
  EXPECT_EQ(a.current(), 0u);
  EXPECT_EQ(a.peak(), Arena::block_bytes(400));
  a.reset_peak();
  EXPECT_EQ(a.peak(), 0u);
  EXPECT_EQ(must(a.zeros(DType::bf16, {3, 0})).view().count(), 0);
}

TEST(Arena, RefusesImpossibleSizes) {
  Arena a;
  for (Shape s : {Shape{-1, 4}, Shape{int64_t(1) << 40, int64_t(1) << 40}, Shape{int64_t(1) << 47}}) {
    auto r = a.make(DType::f32, s);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.status().code(), Code::kTooBig);
  }
  EXPECT_EQ(a.current(), 0u);
}

TEST(Arena, InjectedFaultHitsOnce) {
  Arena a;
  a.fail_at(1);
  Tensor first = must(a.make(DType::f32, {4}));
  EXPECT_EQ(a.make(DType::f32, {4}).status().code(), Code::kTooBig);
  Tensor third = must(a.make(DType::f32, {4}));
  EXPECT_EQ(a.current(), 2 * Arena::block_bytes(16));
}

TEST(Arena, CountsFromManyThreads) {
  Arena a;
  parallel_for(3, 300, [&](int64_t i) { auto t = a.make(DType::u8, {i + 1}); });
  EXPECT_EQ(a.current(), 0u);
  EXPECT_GE(a.peak(), Arena::block_bytes(300));
}

// An environment variable for the length of a test.
class Env {
 public:
  Env(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Env() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST(Registry, CapsTheInstructionSet) {
  Env env("ZOETROPE_MAX_ISA", "generic");
  EXPECT_EQ(must(registry_options_from_env()).isa, Isa::generic);
}

TEST(Registry, UnknownNamesListTheKnownOnes) {
  {
    Env env("ZOETROPE_MAX_ISA", "sse9");
    auto r = registry_options_from_env();
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.status().code(), Code::kInvalid);
    EXPECT_NE(r.status().message().find("avx512_bf16"), std::string::npos);
  }
  for (auto [entry, known] :
       {std::pair<const char*, const char*>{"nrom=ref", "qk_norm_rope"}, {"norm=rfe", "ref"}, {"norm", "ref"}}) {
    Env env("ZOETROPE_IMPL", entry);
    auto options = must(registry_options_from_env());
    auto r = make_op_table(options);
    ASSERT_FALSE(r.ok()) << entry;
    EXPECT_EQ(r.status().code(), Code::kInvalid);
    EXPECT_NE(r.status().message().find(known), std::string::npos) << r.status().message();
  }
}

TEST(Registry, ForcesOneImplementation) {
  Env env("ZOETROPE_IMPL", "norm=ref,linear=ref");
  auto table = must(make_op_table(must(registry_options_from_env())));
  EXPECT_EQ(table->norm.size(), 1u);
  EXPECT_EQ(table->norm[0].name, "ref");
  EXPECT_EQ(table->linear[0]->name(), "ref");
  EXPECT_GT(table->channel_norm.size(), 1u);
}

TEST(Registry, RefIsTheLastCandidateOfEveryOp) {
  auto table = must(make_op_table({detect_isa(), {}}));
  for (const std::string& line : describe(*table)) EXPECT_TRUE(line.ends_with(" ref")) << line;
}

TEST(Registry, RefusalsSayWhy) {
  auto m = make_machine(Isa::generic, 1);
  NormArgs args;
  for (const auto& c : m->ops->norm) EXPECT_EQ(c.why_not(args, m->ctx).empty(), c.name == "ref") << c.name;
  auto forced = make_machine(Isa::generic, 1, {"norm=avx2"});
  Tensor x = random_tensor(forced->arena, DType::f32, {2, 8}, 1);
  EXPECT_THROW(norm({x, {}, {}, {}, {}, 0, NormKind::layer, false, 1e-6f, x}, forced->ctx), Bug);
}

TEST(Checks, MismatchedArgumentsAreBugs) {
  auto m = make_machine(detect_isa(), 1);
  Tensor x = random_tensor(m->arena, DType::f32, {4, 8}, 1), y = random_tensor(m->arena, DType::f32, {4, 9}, 2);
  Tensor half = random_tensor(m->arena, DType::bf16, {4, 8}, 3);
  EXPECT_THROW(norm({x, y, {}, {}, {}, 0, NormKind::layer, false, 1e-6f, x}, m->ctx), Bug);
  EXPECT_THROW(elementwise({Elementwise::add, x, {}, x}, m->ctx), Bug);
  EXPECT_THROW(qk_norm_rope({x, y.view().select(0, 0).slice(0, 0, 8), {}, {}, 3, 1e-6f, x}, m->ctx), Bug);
  EXPECT_THROW(qk_norm_rope({half, y.view().select(0, 0).slice(0, 0, 8), {}, {}, 2, 1e-6f, x}, m->ctx), Bug);
  std::vector<int32_t> index = {4};
  EXPECT_THROW(gather_rows({x, y.view().slice(0, 0, 1).slice(1, 0, 8), index}, m->ctx), Bug);
}

// Every task runs once, in an order in which each may wait for all of an earlier stage, stages without tasks among them.
TEST(Parallel, StagesWaitForEachOther) {
  const std::vector<int64_t> tasks = {5, 0, 7, 3, 4, 0, 2};
  const std::vector<int> after = {-1, 0, 1, -1, 2, 4, 5};
  for (int threads : {1, 2, 3, 8}) {
    std::vector<std::atomic<int64_t>> done(tasks.size());
    std::atomic<int> early{0};
    parallel_stages(threads, tasks, [&](size_t stage, int64_t) {
      int first = after[stage];
      while (first >= 0 && tasks[size_t(first)] == 0) first = after[size_t(first)];
      wait_until([&] { return first < 0 || done[size_t(first)] == tasks[size_t(first)]; });
      for (int s = after[stage]; s >= 0; s = after[size_t(s)]) early += done[size_t(s)] != tasks[size_t(s)];
      ++done[stage];
    });
    EXPECT_EQ(early, 0) << threads;
    for (size_t s = 0; s < tasks.size(); ++s) EXPECT_EQ(done[s], tasks[s]) << threads;
  }
}

}  // namespace
}  // namespace zt::testing
