#include "tests/support/cuda_ops/checker.h"

#include <cstring>
#include <limits>
#include <numbers>

namespace zt::testing {

uint64_t Dice::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

float Dice::normal() {
  double r = std::sqrt(-2 * std::log(1 - uniform()));
  return float(r * std::cos(2 * std::numbers::pi * uniform()));
}

Twin Checker::upload(Tensor host) {
  Twin t;
  const Shape shape = host.shape();
  Tensor there = need(ctx_[1].arena->make(host.view().dtype, shape));
  need(copy_values(host, there, ctx_[1]));
  t.view[0] = host, t.view[1] = there;
  t.memory[0] = std::make_shared<Tensor>(std::move(host)), t.memory[1] = std::make_shared<Tensor>(std::move(there));
  return t;
}

Twin Checker::random(DType t, const Shape& s, uint64_t seed, float scale) {
  Tensor host = need(ctx_[0].arena->make(t, s));
  Dice dice(seed);
  for (int64_t i = 0; i < s.count(); ++i) store_float(host.data(), t, i, dice.normal() * scale);
  return upload(std::move(host));
}

Twin Checker::filled(DType t, const Shape& s, uint8_t byte) {
  Tensor host = need(ctx_[0].arena->make(t, s));
  std::memset(host.data(), byte, host.view().bytes());
  return upload(std::move(host));
}

std::vector<float> values_of(const TensorView& v) {
  std::vector<float> out(static_cast<size_t>(v.count()));
  for (int64_t i = 0; i < v.count(); ++i) {
    int64_t rest = i, at = 0;
    for (int a = v.rank() - 1; a >= 0; --a) at += rest % v.dim(a) * v.stride(a), rest /= v.dim(a);
    out[size_t(i)] = v.dtype == DType::u8 ? float(static_cast<const uint8_t*>(v.data)[at]) : load_float(v.data, v.dtype, at);
  }
  return out;
}

double nmse_of(const std::vector<float>& got, const std::vector<float>& want) {
  double error = 0, norm = 0;
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(want[i]) || !std::isfinite(got[i])) {
      bool same = std::isnan(want[i]) ? std::isnan(got[i]) : want[i] == got[i];
      if (!same) return std::numeric_limits<double>::infinity();
      continue;
    }
    double d = double(got[i]) - double(want[i]);
    error += d * d, norm += double(want[i]) * double(want[i]);
  }
  return norm > 0 ? error / norm : error;
}

void Checker::compare(const std::string& op, const std::string& what, double bound, const std::vector<Twin>& wrote,
                      const std::function<void(const Side&, const ExecContext&)>& run) {
  for (int side = 0; side < 2; ++side) {
    run([side](const Twin& t) { return t.view[side]; }, ctx_[side]);
  }
  need(wait_for_device(ctx_[1]));
  Finding f{op, what, 0, bound};
  for (const Twin& t : wrote) {
    HostCopy all = need(to_host(*t.memory[1], ctx_[1]));
    TensorView mine = t.view[0], theirs = t.view[0];
    theirs.data = static_cast<char*>(all.view.data) + (static_cast<char*>(t.view[1].data) - static_cast<char*>(t.memory[1]->data()));
    f.error = std::max(f.error, nmse_of(values_of(theirs), values_of(mine)));
    // Whatever the view leaves out is still what it was on both sides.
    std::vector<float> here = values_of(*t.memory[0]), there = values_of(all.view);
    double whole = nmse_of(there, here);
    if (!(whole <= bound) && f.error <= bound) f.error = whole, f.what += " (outside the result)";
  }
  add(std::move(f));
}

}  // namespace zt::testing
