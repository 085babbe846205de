#include "tests/kernels/attention_support.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace zt::testing {
namespace {

constexpr size_t kGuard = 4096;
constexpr unsigned char kSentinel = 0xa5;

TensorView dense_view(void* data, DType t, int64_t b, int64_t h, int64_t n, int64_t d) { return {data, t, {b, h, n, d}}; }

// A [B, H, N, D] view of one matrix in rows of `row` elements, starting at column `column`.
TensorView token_major(void* data, DType t, const AttentionShape& s, int64_t n, int64_t row, int64_t column) {
  TensorView v = dense_view(static_cast<char*>(data) + size_t(column) * dtype_size(t), t, s.batch, s.heads, n, s.d);
  v.strides = {n * row, s.d, row, 1};
  return v;
}

int64_t at(const TensorView& t, int64_t b, int64_t h, int64_t n, int64_t c) {
  return b * t.stride(0) + h * t.stride(1) + n * t.stride(2) + c;
}

// Bytes with kGuard sentinels on both sides.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes), store_(must(arena_.make(DType::u8, {int64_t(bytes + 2 * kGuard)}))) {
    std::memset(store_.data(), kSentinel, bytes + 2 * kGuard);
  }
  char* data() { return static_cast<char*>(store_.data()) + kGuard; }
  bool intact() const {
    auto* p = static_cast<const unsigned char*>(store_.data());
    for (size_t i = 0; i < kGuard; ++i) {
      if (p[i] != kSentinel || p[kGuard + bytes_ + i] != kSentinel) return false;
    }
    return true;
  }

 private:
  Arena arena_;
  size_t bytes_;
  Tensor store_;
};

}  // namespace

std::string AttentionShape::str() const { return fmt::format("batch {} heads {} nq {} nk {} d {}", batch, heads, nq, nk, d); }

AttentionInputs::AttentionInputs(const AttentionShape& s, DType t, bool interleaved, uint64_t seed, float scale)
    : shape(s), dtype(t) {
  int64_t width = s.heads * s.d;
  // A projection of rows of about the same size as what it is given.
  buffers_.push_back(random_tensor(*arena_, DType::f32, {s.d, s.d}, seed + 1000, 1 / std::sqrt(float(s.d))));
  args.proj_weight = buffers_.back();
  buffers_.push_back(random_tensor(*arena_, DType::f32, {s.d}, seed + 1001, 0.5f * scale));
  args.proj_bias = buffers_.back();
  if (interleaved && s.nq == s.nk) {
    buffers_.push_back(random_tensor(*arena_, t, {s.batch * s.nq, 3 * width}, seed, scale));
    void* p = buffers_.back().data();
    args.q = token_major(p, t, s, s.nq, 3 * width, 0);
    args.k = token_major(p, t, s, s.nk, 3 * width, width);
    args.v = token_major(p, t, s, s.nk, 3 * width, 2 * width);
    return;
  }
  for (int64_t n : {s.nq, s.nk, s.nk}) buffers_.push_back(random_tensor(*arena_, t, {s.batch, s.heads, n, s.d}, seed++, scale));
  args.q = buffers_[2], args.k = buffers_[3], args.v = buffers_[4];
}

void AttentionInputs::set(const TensorView& t, int64_t b, int64_t h, int64_t n, int64_t c, float v) {
  store_float(t.data, dtype, at(t, b, h, n, c), v);
}

float AttentionInputs::get(const TensorView& t, int64_t b, int64_t h, int64_t n, int64_t c) const {
  return load_float(t.data, dtype, at(t, b, h, n, c));
}

AttentionInputs AttentionInputs::as_f32() const {
  AttentionInputs r(shape, DType::f32, false, 0);
  for (auto [from, to] : {std::pair{&args.q, &r.args.q}, {&args.k, &r.args.k}, {&args.v, &r.args.v}}) {
    *to = *from;
    if (dtype == DType::f32) continue;
    std::vector<float> values = to_floats(*from);
    r.buffers_.push_back(must(r.arena_->make(DType::f32, from->shape)));
    std::memcpy(r.buffers_.back().data(), values.data(), values.size() * 4);
    *to = r.buffers_.back();
  }
  r.args.proj_weight = args.proj_weight, r.args.proj_bias = args.proj_bias;
  return r;
}

AttentionResult run_attention(const AttentionPlan& plan, const AttentionInputs& in, Isa isa, const AttentionOptions& o) {
  const AttentionShape& s = in.shape;
  auto machine = make_machine(isa, o.threads);
  AttentionProblem p{s.batch, s.heads, s.d, in.dtype, o.scale, o.mass};
  const AttentionExecutor& e = o.executor ? *o.executor : choose_attention(plan, p, machine->ctx);
  AttentionResult r;
  r.name = e.name();
  // A gap of three elements after every token.
  int64_t row = s.heads * s.d + 3, rows = s.batch * s.nq, q_blocks = plan.parts().q.count(), k_blocks = plan.parts().k.count();
  size_t bytes = e.workspace_bytes(plan, p, machine->ctx), size = dtype_size(in.dtype);
  Guarded out(size_t(rows * row) * size), sums(size_t(s.batch * s.heads * s.nq) * 4), workspace(bytes);
  Guarded mass(size_t(s.batch * s.heads * q_blocks * k_blocks) * 4);
  AttentionArgs a = in.args;
  a.out = token_major(out.data(), in.dtype, s, s.nq, row, 0);
  if (!o.out) a.v = {}, a.out = {};
  if (o.lse) a.lse = TensorView(sums.data(), DType::f32, {s.batch, s.heads, s.nq});
  if (o.mass) a.block_mass = TensorView(mass.data(), DType::f32, {s.batch, s.heads, q_blocks, k_blocks});
  std::vector<float> given = o.mass_lse;
  if (!given.empty()) a.mass_lse = TensorView(given.data(), DType::f32, {s.batch, s.heads, s.nq});
  e.run(plan, p, a, workspace.data(), machine->ctx);
  if (o.out) r.out = to_floats(a.out);
  if (o.lse) r.lse = to_floats(a.lse);
  if (o.mass) r.mass = to_floats(a.block_mass);
  r.guards_intact = out.intact() && sums.intact() && workspace.intact() && mass.intact();
  for (int64_t i = 0; i < rows; ++i) {
    for (size_t b = 0; b < 3 * size; ++b) {
      r.guards_intact &= static_cast<unsigned char>(out.data()[size_t(i * row + row - 3) * size + b]) == kSentinel;
    }
  }
  return r;
}

AttentionResult ref_attention(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o) {
  AttentionInputs exact = in.as_f32();
  AttentionOptions plain = o;
  auto machine = make_machine(detect_isa(), 2, {"attention=ref"});
  plain.executor = machine->ops->attention.back().get();
  return run_attention(plan, exact, detect_isa(), plain);
}

PlanPtr random_plan(const AttentionShape& s, int list_sets, int block_q, int block_k, double keep, bool bias, uint64_t seed) {
  Random random(seed);
  auto cut = [&](int64_t tokens, int block) {
    Blocks b{block, {}};
    while (tokens > 0) {
      // Half of the blocks full, the others of any length.
      int64_t n = std::min<int64_t>(tokens, random.below(2) ? block : 1 + random.below(block));
      b.valid.push_back(int32_t(n)), tokens -= n;
    }
    return b;
  };
  PlanParts p;
  p.heads = list_sets;
  p.q = cut(s.nq, block_q), p.k = cut(s.nk, block_k);
  p.row_offsets.push_back(0);
  for (int64_t row = 0; row < list_sets * p.q.count(); ++row) {
    bool empty = random.below(8) == 0;
    for (int64_t c = 0; c < p.k.count() && !empty; ++c) {
      if (random.uniform() < keep) p.cols.push_back(int32_t(c));
    }
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  for (int64_t c = 0; c < p.k.count() && bias; ++c) p.k_bias.push_back(random.normal() * 3);
  return must(AttentionPlan::make(std::move(p)));
}

PlanPtr with_masks_orders_and_head_map(const AttentionPlan& plan, int64_t heads, uint64_t seed) {
  Random random(seed);
  PlanParts p = plan.parts();
  for (int set = 0; set < p.heads; ++set) {
    for (int64_t row = 0; row < p.q.count(); ++row) {
      for (int32_t c : plan.row(set, row).cols) {
        if (random.below(2)) {
          p.mask_of.push_back(-1);
          continue;
        }
        p.mask_of.push_back(int32_t(p.mask_count()));
        size_t at = p.mask_words.size();
        p.mask_words.resize(at + size_t(p.mask_size()));
        double keep = random.uniform();  // of each pair; some rows end up without a key of the block
        for (int64_t r = 0; r < p.q.valid[size_t(row)]; ++r) {
          for (int64_t k = 0; k < p.k.valid[size_t(c)]; ++k) {
            bool first = r == 0 && k == 0;  // a mask keeps at least one pair
            if (first || random.uniform() < keep)
              p.mask_words[at + size_t(r * p.mask_row_words() + k / 64)] |= uint64_t(1) << (k % 64);
          }
        }
      }
    }
  }
  auto shuffled = [&](int64_t tokens) {
    TokenOrder o{2, {}, {}, {}};
    for (int set = 0; set < 2; ++set) {
      size_t at = o.order.size();
      for (int64_t i = 0; i < tokens; ++i) o.order.push_back(int32_t(i));
      for (int64_t i = tokens - 1; i > 0; --i) std::swap(o.order[at + size_t(i)], o.order[at + size_t(random.below(i + 1))]);
    }
    for (int64_t h = 0; h < heads; ++h) o.head_set.push_back(int32_t(random.below(3)) - 1);
    return o;
  };
  p.q_order = shuffled(plan.nq()), p.k_order = shuffled(plan.nk());
  for (int64_t h = 0; h < heads; ++h) p.head_set.push_back(int32_t(random.below(p.heads)));
  return must(AttentionPlan::make(std::move(p)));
}

PlanPtr all_blocks_plan(int64_t nq, int64_t nk, int block_q, int block_k) {
  PlanParts p;
  p.q = Blocks::uniform(nq, block_q), p.k = Blocks::uniform(nk, block_k);
  p.row_offsets.push_back(0);
  for (int64_t row = 0; row < p.q.count(); ++row) {
    for (int64_t c = 0; c < p.k.count(); ++c) p.cols.push_back(int32_t(c));
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  return must(AttentionPlan::make(std::move(p)));
}

std::vector<AttentionTarget> attention_targets() {
  std::vector<AttentionTarget> list;
  for (Isa isa : runnable_isas()) {
    if (isa == Isa::generic) continue;
    for (DType t : {DType::f32, DType::bf16}) {
      // f32 has no better unit than AVX-512.
      Isa used = t == DType::f32 ? std::min(isa, Isa::avx512) : isa;
      list.push_back({isa, t, "cpu_" + std::string(isa_name(used))});
    }
  }
  return list;
}

std::string target_name(const ::testing::TestParamInfo<AttentionTarget>& info) {
  return fmt::format("{}_{}", isa_name(info.param.isa), dtype_name(info.param.dtype));
}

AttentionExpectation expectation(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o) {
  return {ref_attention(plan, in, o), naive_attention(plan, in, o)};
}

// Uniform in half a unit in the last place, 2^-9 of the value in bf16; a few roundings in f32.
double rounding_nmse(DType dtype) { return dtype == DType::bf16 ? 0x1p-18 / 3 : 16 * 0x1p-48; }

// Half a unit in the last place each; the naive version is spared that where its scale is a power of two.
double logit_nmse(double largest) { return std::pow(std::min(largest * 0x1p-24 * 1.45, 1e-3), 2); }

double largest_lse(const AttentionResult& r, const AttentionOptions& o) {
  double largest = 0;
  for (const std::vector<float>* list : {&r.lse, &o.mass_lse}) {
    for (float x : *list) largest = std::max(largest, std::isfinite(x) ? std::abs(double(x)) : 0);
  }
  return largest;
}

void expect_accurate(const AttentionResult& got, const AttentionPlan& plan, const AttentionInputs& in, const std::string& what,
                     const AttentionOptions& o) {
  expect_accurate(got, expectation(plan, in, o), in.dtype, what, o);
}

void expect_accurate(const AttentionResult& got, const AttentionExpectation& want, DType dtype, const std::string& what,
                     const AttentionOptions& o, double floor) {
  const auto& [right, naive] = want;
  EXPECT_TRUE(got.guards_intact) << what;
  floor = std::max({floor, rounding_nmse(dtype), logit_nmse(largest_lse(right, o))});
  auto compare = [&](const std::vector<float>& g, const std::vector<float>& n, const std::vector<float>& r, const char* name) {
    double bound = std::max(4 * nmse(n, r), floor), error = nmse(g, r);
    EXPECT_LE(error, bound) << what << ": " << name << " of " << got.name << " has NMSE " << error << ", naive " << nmse(n, r);
  };
  if (o.out) compare(got.out, naive.out, right.out, "out");
  if (o.mass) compare(got.mass, naive.mass, right.mass, "block mass");
  // Each P is off by at most half a unit of its storage, and so is their sum; logits carry f32 dot products.
  double unit = dtype == DType::bf16 ? 0x1p-8 : 0;
  for (size_t i = 0; i < got.lse.size(); ++i) {
    if (std::isinf(right.lse[i]) || std::isnan(right.lse[i])) {
      EXPECT_TRUE(got.lse[i] == right.lse[i] || (std::isnan(got.lse[i]) && std::isnan(right.lse[i]))) << what << " row " << i;
      continue;
    }
    ASSERT_NEAR(got.lse[i], right.lse[i], unit + 4e-6 * (1 + std::abs(double(right.lse[i]))))
        << what << " row " << i << " of " << got.name;
  }
}

}  // namespace zt::testing
