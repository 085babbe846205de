#include "tests/support/testing.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/registry/registry.h"

namespace zt::testing {

Isa machine_isa() {
  static const Isa isa = [] {
    Isa cap = must(registry_options_from_env()).isa;
    must(make_op_table({cap, {}}));
    return cap;
  }();
  return isa;
}

std::unique_ptr<Machine> make_machine(Isa isa, int threads, std::vector<std::string> force) {
  isa = std::min(isa, machine_isa());
  auto m = std::make_unique<Machine>();
  m->ops = must(make_op_table({isa, std::move(force)}));
  m->ctx.ops = m->ops.get();
  m->ctx.arena = &m->arena;
  m->ctx.threads = threads;
  m->ctx.isa = isa;
  return m;
}

std::vector<Isa> runnable_isas() {
  std::vector<Isa> list;
  for (int i = 0; i <= int(machine_isa()); ++i) list.push_back(Isa(i));
  return list;
}

Tensor random_tensor(Arena& arena, DType t, Shape s, uint64_t seed, float scale) {
  Tensor out = must(arena.make(t, s));
  Random r(seed);
  for (int64_t i = 0; i < s.count(); ++i) store_float(out.data(), t, i, r.normal() * scale);
  return out;
}

std::vector<float> to_floats(const TensorView& v) {
  std::vector<float> out;
  out.reserve(size_t(v.count()));
  std::array<int64_t, kMaxRank> i{};
  for (int64_t n = v.count(); n > 0; --n) {
    int64_t at = 0;
    for (int a = 0; a < v.rank(); ++a) at += i[size_t(a)] * v.stride(a);
    out.push_back(load_float(v.data, v.dtype, at));
    for (int a = v.rank() - 1; a >= 0 && ++i[size_t(a)] == v.dim(a); --a) i[size_t(a)] = 0;
  }
  return out;
}

double nmse(const std::vector<float>& a, const std::vector<float>& reference) {
  if (a.size() != reference.size()) return std::numeric_limits<double>::infinity();
  double err = 0, ref = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) != std::isnan(reference[i])) return std::numeric_limits<double>::infinity();
    if (std::isnan(a[i]) || a[i] == reference[i]) {
      ref += std::isnan(a[i]) ? 0 : double(reference[i]) * reference[i];
      continue;
    }
    double d = double(a[i]) - reference[i];
    err += d * d, ref += double(reference[i]) * reference[i];
  }
  return err == 0 ? 0 : err / ref;
}

double max_abs_diff(const std::vector<float>& a, const std::vector<float>& b) {
  double m = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) m = std::max(m, std::abs(double(a[i]) - b[i]));
  return m;
}

}  // namespace zt::testing
