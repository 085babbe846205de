#include "kernels/cpu/attention/linear_call.h"

#include <cmath>

namespace zt::cpu_attention {

// list: sorted; outside: the scope is all blocks but those.
struct LinearCall::Scope {
  const int32_t* list = nullptr;
  int64_t count = 0;
  bool outside = false;
  int64_t in_scope(int64_t blocks) const { return outside ? blocks - count : count; }
};

namespace {

int64_t list_rest(const int32_t* list, int64_t count, int64_t blocks, int32_t* rest) {
  int64_t n = 0, i = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    if (i < count && list[i] == b) {
      ++i;
    } else {
      rest[n++] = int32_t(b);
    }
  }
  return n;
}

}  // namespace

void LinearCall::prepare() const {
  if (!part().projection) return;
  // y = W x is x times the transpose, which is laid out as a state so that it is packed like one.
  const Layout& l = c_.z.lay;
  float *to = c_.at<float>(z_.projection_at), *w = c_.a.proj_weight.as<float>();
  std::fill_n(to, z_.state_floats, 0.f);
  for (int64_t i = 0; i < l.head_dim; ++i) {
    for (int64_t c = 0; c < l.head_dim; ++c) to[i * l.channels + c] = w[c * l.head_dim + i];
  }
  std::copy_n(c_.a.proj_bias.as<float>(), l.head_dim, bias());
  if (folded()) return;
  MatrixJob job{{to, z_.state_floats, nullptr, 1, nullptr}, nullptr, 0, matrix_chunks(l),
                c_.at<Dword>(z_.packed_projection_at),      {}};
  Scratch s = c_.scratch();
  job.sums = s.sums;
  c_.t.matrix(l, job, s);
}

RowRange LinearCall::blocks(int64_t piece) const {
  if (z_.scoped) return {piece, piece + 1};
  const auto& starts = c_.plan.k_starts();
  auto first_at = [&](int64_t token) { return std::lower_bound(starts.begin(), starts.end() - 1, token) - starts.begin(); };
  return {first_at(piece * kPieceKeys), first_at((piece + 1) * kPieceKeys)};
}

void LinearCall::state(int64_t place, int64_t head, int64_t piece) const {
  int64_t b = head / c_.p.heads, h = head % c_.p.heads;
  StateJob job;
  job.k = rows_of(c_.a.k, b, h, 0, order_of(c_.parts().k_order, h, c_.plan.nk()));
  job.walk = c_.walk(place);
  RowRange range = blocks(piece);
  job.walk.block = range.begin, job.walk.count = range.end;
  job.dtype = c_.p.dtype;
  job.feature = part().feature;
  job.state = states(place) + piece * z_.state_floats;
  c_.t.state(c_.z.lay, job, c_.scratch());
}

namespace {
constexpr int64_t kRun = 2048;  // floats of a total that a task sums
}

int64_t LinearCall::join_tasks() const { return z_.scoped ? (z_.state_floats + kRun - 1) / kRun : matrix_chunks(c_.z.lay); }

void LinearCall::join(int64_t place, int64_t task) const {
  const Layout& l = c_.z.lay;
  StateSum all{states(place), z_.state_floats, nullptr, z_.pieces, nullptr};
  if (z_.scoped) {
    int64_t begin = task * kRun, end = std::min(z_.state_floats, begin + kRun);
    return c_.t.sum(all, begin, end, total(place) + begin);
  }
  const float* fold = folded() ? c_.at<float>(z_.projection_at) : nullptr;
  c_.t.matrix(l, {all, fold, task, task + 1, matrix(place), sums(place)}, c_.scratch());
}

void LinearCall::close(int64_t place) const {
  *finite(place) = std::all_of(total(place), total(place) + z_.state_floats, [](double x) { return std::isfinite(x); });
}

LinearCall::Scope LinearCall::scope(int64_t head, int64_t q_block) const {
  bool listed = part().scope == LinearScope::listed;
  if (!listed && c_.plan.is_dense()) return {};
  const auto& offsets = listed ? part().row_offsets : c_.parts().row_offsets;
  const auto& cols = listed ? part().cols : c_.parts().cols;
  size_t row = size_t(c_.list_set(head) * c_.parts().q.count() + q_block);
  return {cols.data() + offsets[row], offsets[row + 1] - offsets[row], !listed};
}

// Sums whichever side has fewer blocks. What is not a number cannot be taken away again: then only those in scope are read.
StateSum LinearCall::sum_of(int64_t place, const Scope& scope, const Scratch& s) const {
  int64_t in = scope.in_scope(z_.pieces);
  bool take_away = 2 * in > z_.pieces && *finite(place);
  StateSum sum{states(place), z_.state_floats, scope.list, scope.count, take_away ? total(place) : nullptr};
  if (take_away != scope.outside) {
    sum.count = list_rest(scope.list, scope.count, z_.pieces, s.list);
    sum.list = s.list;
  }
  return sum;
}

LinearJob LinearCall::tile(int64_t place, int64_t head, int64_t q_block, const Scratch& s) const {
  LinearJob job;
  job.feature = part().feature;
  if (part().projection) {
    job.bias = bias();
    if (!folded()) job.projection = c_.at<Dword>(z_.packed_projection_at);
  }
  if (part().blend == Blend::lerp) job.alpha = part().alpha.data() + c_.list_set(head) * c_.parts().q.count() + q_block;
  if (!z_.scoped) {
    job.matrix = matrix(place), job.sums = sums(place);
    job.epsilon = 1e-5f;
    return job;
  }
  Scope in = scope(head, q_block);
  if (in.in_scope(z_.pieces) == 0) return job;
  c_.t.matrix(c_.z.lay, {sum_of(place, in, s), nullptr, 0, matrix_chunks(c_.z.lay), s.matrix, s.sums}, s);
  job.matrix = s.matrix, job.sums = s.sums;
  return job;
}

}  // namespace zt::cpu_attention
