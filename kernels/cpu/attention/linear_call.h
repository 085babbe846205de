// The linear part of a call (linear.h): states of the keys, what all query blocks share of them, and each tile's share.
#pragma once

#include "kernels/cpu/attention/call.h"
#include "kernels/cpu/attention/linear.h"

namespace zt::cpu_attention {

class LinearCall {
 public:
  explicit LinearCall(const Call& call) : c_(call), z_(call.z.linear) {}

  // Whether this call computes it at all.
  bool wanted() const { return c_.plan.has_linear() && c_.a.out; }
  // What all heads share: the projection.
  void prepare() const;
  // Key blocks of a piece.
  RowRange blocks(int64_t piece) const;
  // The state of a piece whose values are packed.
  void state(int64_t place, int64_t head, int64_t piece) const;
  // After all states of a head: its matrix for a global scope, else the totals, in tasks; then whether they are finite.
  int64_t join_tasks() const;
  void join(int64_t place, int64_t task) const;
  bool has_close() const { return z_.scoped; }
  void close(int64_t place) const;
  // What the tile of a query block adds; may fill the matrix of s.
  LinearJob tile(int64_t place, int64_t head, int64_t q_block, const Scratch& s) const;

 private:
  struct Scope;
  const LinearPart& part() const { return *c_.parts().linear; }
  bool folded() const { return part().projection && !z_.scoped; }
  float* states(int64_t place) const { return c_.at<float>(z_.states_at) + place * z_.pieces * z_.state_floats; }
  double* total(int64_t place) const { return c_.at<double>(z_.totals_at) + place * z_.state_floats; }
  uint8_t* finite(int64_t place) const { return c_.at<uint8_t>(z_.finite_at) + place; }
  Dword* matrix(int64_t place) const { return c_.at<Dword>(z_.matrices_at) + place * z_.matrix_dwords; }
  float* sums(int64_t place) const { return c_.at<float>(z_.sums_at) + place * c_.z.lay.features; }
  // Padded with zeros, where a state has its sums.
  float* bias() const { return c_.at<float>(z_.projection_at) + c_.z.lay.features * c_.z.lay.channels; }
  // Key blocks in scope of a query block: those of a list, or all but those.
  Scope scope(int64_t head, int64_t q_block) const;
  StateSum sum_of(int64_t place, const Scope& scope, const Scratch& s) const;

  const Call& c_;
  const LinearSizes& z_;
};

}  // namespace zt::cpu_attention
