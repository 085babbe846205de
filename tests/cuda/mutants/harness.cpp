// What a broken kernel must not survive: small attention calls that force the rare cases, on the host-executed device, against the
// double-precision twin. Kernels are those that find_forward and move_rows of the program give, in the shapes that it has.
#include <cmath>
#include <cstdio>
#include <functional>

#include "kernels/api/attention.h"
#include "kernels/api/op_table.h"
#include "kernels/cuda/attention/call.h"
#include "kernels/ref/ref.h"
#include "tests/support/cuda_host/session.h"
#include "tests/support/random.h"

namespace zt::testing {
namespace {

using namespace cuda_attention;

constexpr int kD = 64;
constexpr TileShape kShapes[] = {kSmall64, {64, 32, 4, 3, false, 2}};

struct Case {
  std::string name;
  PlanPtr plan;
  bool mass = false;
};

PlanPtr made(PlanParts p) { return AttentionPlan::make(std::move(p)).value(); }

Case lists(uint64_t seed, bool masks) {
  Random r(seed);
  PlanParts p;
  auto blocks = [&](int64_t tokens) {
    Blocks b{64, {}};
    for (int64_t n; tokens > 0; tokens -= n) b.valid.push_back(int32_t(n = std::min(tokens, r.below(2) ? 64 : 1 + r.below(64))));
    return b;
  };
  p.q = blocks(100 + r.below(60)), p.k = blocks(150 + r.below(120));
  p.row_offsets = {0};
  for (int64_t row = 0; row < p.q.count(); ++row) {
    for (int64_t c = 0; c < p.k.count() && row != 1; ++c) {
      if (r.below(2)) p.cols.push_back(int32_t(c));
    }
    p.row_offsets.push_back(int64_t(p.cols.size()));
    for (size_t i = p.mask_of.size(); masks && i < p.cols.size(); ++i) {
      p.mask_of.push_back(int32_t(i));
      int32_t qv = p.q.valid[size_t(row)], kv = p.k.valid[size_t(p.cols[i])];
      for (int32_t q = 0; q < 64; ++q) {
        uint64_t bits = q % 9 == 4 && qv > 1 ? 0 : r.bits() & (kv == 64 ? ~0ull : (1ull << kv) - 1);
        p.mask_words.push_back(q == 0 ? bits | 1 : q < qv ? bits : 0);
      }
    }
  }
  if (masks) {
    for (int64_t c = 0; c < p.k.count(); ++c) p.k_bias.push_back(r.normal());
    for (auto* o : {&p.q_order, &p.k_order}) {
      int64_t n = o == &p.q_order ? p.q.tokens() : p.k.tokens();
      o->sets = 1;
      for (int64_t i = 0; i < n; ++i) o->order.push_back(int32_t(i * 7 % n));
      if (n % 7 == 0) *o = {};
    }
  }
  return {masks ? "masks, biases, orders" : "lists", made(std::move(p)), true};
}

// Lists of one block, one row that reads many, and the last row none.
Case short_lists() {
  PlanParts p;
  p.q = Blocks::uniform(256, 64), p.k = Blocks::uniform(448, 64);
  p.cols = {3, 0, 1, 2, 3, 4, 5, 6, 6}, p.row_offsets = {0, 1, 8, 9, 9};
  return {"short lists", made(std::move(p))};
}

std::vector<Case> cases() {
  std::vector<Case> list = {{"dense", AttentionPlan::dense(150, 200)}};
  for (uint64_t seed = 1; seed <= 3; ++seed) list.push_back(lists(seed, false)), list.push_back(lists(seed, true));
  list.push_back(short_lists());
  for (int nk : {1, 31, 33, 62, 63, 64, 65, 127, 128}) list.push_back({"keys " + std::to_string(nk), AttentionPlan::dense(17, nk)});
  for (int nq : {1, 15, 16, 17, 63, 65, 127}) list.push_back({"queries " + std::to_string(nq), AttentionPlan::dense(nq, 40)});
  return list;
}

struct Data {
  std::vector<uint16_t> q, k, v;
  Data(const AttentionPlan& plan) {
    Random r(5);
    for (auto [x, n] : {std::pair{&q, plan.nq()}, {&k, plan.nk()}, {&v, plan.nk()}}) {
      for (int64_t i = 0; i < n * kD; ++i) x->push_back(bf16(r.normal() * 1.3f).bits);
    }
  }
};

struct Results {
  std::vector<float> out, lse, mass;
};

Results right_ones(const Case& c, const Data& d) {
  OpTable table;
  add_ref_attention(table);
  auto floats = [](const std::vector<uint16_t>& x) {
    std::vector<float> f;
    for (uint16_t b : x) f.push_back(load_float(&b, DType::bf16, 0));
    return f;
  };
  std::vector<float> q = floats(d.q), k = floats(d.k), v = floats(d.v);
  const AttentionPlan& plan = *c.plan;
  int64_t qb = plan.parts().q.count(), kb = plan.parts().k.count();
  Results r{std::vector<float>(q.size()), std::vector<float>(size_t(plan.nq())), std::vector<float>(size_t(c.mass ? qb * kb : 0))};
  auto view = [&](std::vector<float>& x, int64_t n) { return TensorView(x.data(), DType::f32, {1, 1, n, kD}); };
  AttentionArgs a{view(q, plan.nq()), view(k, plan.nk()), view(v, plan.nk()), view(r.out, plan.nq()),
                  TensorView(r.lse.data(), DType::f32, {1, 1, plan.nq()})};
  if (c.mass) a.block_mass = TensorView(r.mass.data(), DType::f32, {1, 1, qb, kb});
  AttentionProblem p{1, 1, kD, DType::f32, 0, c.mass};
  ExecContext ctx;
  std::vector<char> workspace(table.attention[0]->workspace_bytes(plan, p, ctx) + 64);
  table.attention[0]->run(plan, p, a, workspace.data() + 64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64, ctx);
  return r;
}

std::string compare(const Results& got, const Results& right) {
  auto far = [](float a, float b, double bound) { return !(a == b || std::abs(double(a) - double(b)) <= bound); };
  for (size_t i = 0; i < right.lse.size(); ++i) {
    if (far(got.lse[i], right.lse[i], 2e-4)) return fmt::format("numbers: lse {} is {}, not {}", i, got.lse[i], right.lse[i]);
  }
  for (size_t i = 0; i < right.out.size(); ++i) {
    // |V| < 6 here; see tests/cuda/host/attention_host.h.
    if (far(got.out[i], right.out[i], 0x1p-9 * (6 + 2 * std::abs(double(right.out[i]))))) {
      return fmt::format("numbers: out {} is {}, not {}", i, got.out[i], right.out[i]);
    }
  }
  for (size_t i = 0; i < right.mass.size(); ++i) {
    if (far(got.mass[i], right.mass[i], 2e-4 * (1 + double(right.mass[i])))) {
      return fmt::format("numbers: mass {} is {}, not {}", i, got.mass[i], right.mass[i]);
    }
  }
  return {};
}

std::string run(const Case& c, const Data& d, const Results& right, const TileShape& shape, uint64_t seed) {
  cuda_host::Session s(cuda_host::options_of(seed));
  const AttentionPlan& plan = *c.plan;
  float scale = 1 / std::sqrt(float(kD));
  PlanTables tables = make_tables(plan, DType::bf16, kD, 1, scale, shape, c.mass);
  DeviceTables device = upload_tables(tables, [&](std::span<const std::byte> bytes) -> const void* {
    return reinterpret_cast<const void*>(s.upload(bytes, "a list of the plan").address());
  });
  auto place = [](auto p, int64_t n) { return Matrices{reinterpret_cast<void*>(p.address()), n * kD, n * kD, kD}; };
  auto out = s.output<uint16_t>(d.q.size(), "out");
  auto lse = s.output<float>(right.lse.size(), "lse"), mass = s.output<float>(right.mass.size(), "mass", cuda_host::Access::free);
  AttentionCall call;
  call.q = place(s.upload(d.q, "q"), plan.nq()), call.k = place(s.upload(d.k, "k"), plan.nk());
  call.v = place(s.upload(d.v, "v"), plan.nk()), call.out = place(out, plan.nq());
  call.lse = reinterpret_cast<float*>(lse.address()), call.mass = c.mass ? reinterpret_cast<float*>(mass.address()) : nullptr;
  call.head_dim = kD, call.nq = plan.nq(), call.nk = plan.nk(), call.scale = scale;
  call.q_blocks = int(plan.parts().q.count()), call.k_blocks = int(plan.parts().k.count());
  auto workspace = s.output<uint32_t>(attention_workspace(tables, call) / 4, "workspace");
  try {
    run_attention(tables, device, call, reinterpret_cast<void*>(workspace.address()), nullptr);
  } catch (const cuda_host::Fault& f) {
    return std::string(cuda_host::fault_name(f.kind())) + ": " + f.what();
  }
  Results got;
  for (uint16_t b : s.download(out, d.q.size())) got.out.push_back(load_float(&b, DType::bf16, 0));
  got.lse = s.download(lse, right.lse.size()), got.mass = s.download(mass, right.mass.size());
  std::string wrong = compare(got, right);
  cuda_host::SiteTraffic matrices = s.traffic().total(cuda_host::Port::matrix);
  if (wrong.empty() && matrices.units > matrices.least) wrong = fmt::format("waves: {} for {}", matrices.units, matrices.least);
  return wrong;
}

// The first thing that goes wrong: a fault's name, "numbers" or "waves" (bank conflicts), and a line about it after a colon;
// "nothing" if all is right.
std::string first_fault() {
  for (const Case& c : cases()) {
    Data d(*c.plan);
    Results right = right_ones(c, d);
    for (const TileShape& shape : kShapes) {
      if (!find_forward(DType::bf16, kD, shape)) continue;
      for (uint64_t seed = 0; seed < 3; ++seed) {
        std::string wrong = run(c, d, right, shape, seed);
        if (!wrong.empty()) return wrong + "; " + c.name + ", seed " + std::to_string(seed);
      }
    }
  }
  return "nothing: all is right";
}

}  // namespace
}  // namespace zt::testing

int main() {
  std::puts(zt::testing::first_fault().c_str());
  return 0;
}
