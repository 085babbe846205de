// Runs an op twice, by the plain table on the host and by another table on a device, and compares what it wrote. Used under host
// execution by the tests and on a card by zt_cuda_ops_check, so it needs no test framework.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/api/op_table.h"
#include "kernels/api/transfer.h"

namespace zt::testing {

struct Finding {
  std::string op, what;
  double error = 0, bound = 0;  // normalised mean square error, unless `what` says otherwise
  bool ok() const { return error <= bound; }  // not so for NaN
};

// splitmix64 and Box-Muller.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  int64_t below(int64_t n) { return int64_t(bits() % uint64_t(n)); }
  double uniform() { return double(bits() >> 11) * 0x1p-53; }
  float normal();

 private:
  uint64_t state_;
};

// A tensor on both sides, equal at first.
struct Twin {
  std::shared_ptr<Tensor> memory[2];
  TensorView view[2];  // host, device
  bool operator!() const { return !view[0]; }
  Twin slice(int axis, int64_t begin, int64_t count) const { return map([&](const TensorView& v) { return v.slice(axis, begin, count); }); }
  Twin map(const std::function<TensorView(const TensorView&)>& f) const {
    Twin t = *this;
    for (TensorView& v : t.view) v = f(v);
    return t;
  }
};

class Checker {
 public:
  // Tables whose host side is the plain one. large: sizes of real use, for a card.
  Checker(const ExecContext& host, const ExecContext& device, bool large) : ctx_{host, device}, large_(large) {}

  bool large() const { return large_; }
  const ExecContext& host() const { return ctx_[0]; }
  const ExecContext& device() const { return ctx_[1]; }
  Twin random(DType t, const Shape& s, uint64_t seed, float scale = 1);
  Twin filled(DType t, const Shape& s, uint8_t byte);
  // [rows, cols] with `pad` more elements a row.
  Twin rows(DType t, int64_t rows, int64_t cols, uint64_t seed, int64_t pad = 4) {
    return random(t, {rows, cols + pad}, seed).slice(1, 0, cols);
  }

  using Side = std::function<TensorView(const Twin&)>;
  // op(side, ctx) on both sides, then each twin of `wrote` is compared; guards in its memory must be untouched, too, as the whole
  // memory is.
  void compare(const std::string& op, const std::string& what, double bound, const std::vector<Twin>& wrote,
               const std::function<void(const Side&, const ExecContext&)>& run);
  void add(Finding f) { findings_.push_back(std::move(f)); }
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  Twin upload(Tensor host);
  ExecContext ctx_[2];
  bool large_;
  std::vector<Finding> findings_;
};

// NaN and infinities must agree in place, else infinity.
double nmse_of(const std::vector<float>& got, const std::vector<float>& want);
std::vector<float> values_of(const TensorView& host);

template <class T>
T need(Result<T> r) {
  if (!r.ok()) throw Bug(r.status().message());
  return std::move(r).value();
}
inline void need(const Status& s) {
  if (!s.ok()) throw Bug(s.message());
}

struct OpCheck {
  std::string name;
  void (*run)(Checker&);
};
// Every op of the table.
const std::vector<OpCheck>& op_checks();

}  // namespace zt::testing
