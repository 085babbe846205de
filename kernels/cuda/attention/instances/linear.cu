// The linear part, for head dimensions 64 and 128.
#include "kernels/cuda/attention/launch.h"
#include "kernels/cuda/attention/linear_apply.cuh"

namespace zt::cuda_attention {
namespace {

template <class T>
hw::gptr<const T> constant(const void* p) {
  return hw::global<T>(p);
}

template <int D>
int run(const LinearCall& c, void* queue) {
  using E = hw::Bf16;
  auto stream = static_cast<hw::Stream>(queue);
  const LinearSizes& s = c.sizes;
  int heads = c.f.batch * c.f.heads;
  LinearSpace space = linear_space(s, D, heads);
  auto* base = static_cast<char*>(c.workspace);
  auto at = [](const Matrices& m) { return Strides{m.batch, m.head, m.row}; };
  StateParams<E> states;
  states.k = constant<E>(c.f.k.data), states.v = constant<E>(c.f.v.data), states.k_at = at(c.f.k), states.v_at = at(c.f.v);
  states.heads = c.f.heads, states.pieces = constant<KeyTile>(c.tables.pieces), states.feature = Feature(s.feature);
  states.states = hw::global<float>(static_cast<void*>(base + space.states));
  MatrixParams<E> matrix;
  matrix.states = states.states, matrix.totals = hw::global<double>(static_cast<void*>(base + space.totals));
  matrix.matrices = hw::global<E>(static_cast<void*>(base + space.matrices)), matrix.sums = hw::global<float>(static_cast<void*>(base + space.sums));
  matrix.pieces = int(s.pieces), matrix.heads = c.f.heads, matrix.scope = Scope(s.scope);
  matrix.offsets = constant<int32_t>(c.tables.offsets), matrix.cols = constant<int32_t>(c.tables.cols), matrix.set_of = constant<int32_t>(c.tables.set_of);
  ApplyParams<E> apply;
  apply.q = constant<E>(c.f.q.data), apply.out = hw::global<E>(c.f.out.data), apply.q_at = at(c.f.q), apply.out_at = at(c.f.out);
  apply.heads = c.f.heads, apply.q_blocks = int(s.q_blocks), apply.tiles = constant<LinearTile>(c.tables.tiles);
  apply.matrices = matrix.matrices, apply.sums = matrix.sums, apply.alpha = constant<float>(s.lerp ? c.tables.alpha : nullptr);
  apply.set_of = matrix.set_of, apply.per_block = s.per_block, apply.feature = states.feature;
  apply.weight = constant<float>(s.projection ? c.weight : nullptr), apply.bias = constant<float>(s.projection ? c.bias : nullptr);
  apply.epsilon = matrix.scope == Scope::global ? 1e-5f : 0.f;
  for (int first = 0; first < heads; first += int(space.heads)) {
    auto count = uint32_t(heads - first < space.heads ? heads - first : space.heads);
    states.first_head = matrix.first_head = apply.first_head = first;
    using State = LinearState<E, D>;
    using Total = LinearTotal<E, D>;
    using Matrix = LinearMatrix<E, D>;
    using Apply = LinearApply<E, D>;
    if (int e = hw::launch<State>(stream, {uint32_t(s.pieces), count}, State::kShared, states)) return e;
    if (int e = hw::launch<Total>(stream, {uint32_t(Total::kGrid), count}, 0, matrix)) return e;
    hw::Grid blocks{uint32_t(Matrix::kGrid), s.per_block ? uint32_t(s.q_blocks) : 1, count};
    if (int e = hw::launch<Matrix>(stream, blocks, 0, matrix)) return e;
    if (int e = hw::launch<Apply>(stream, {uint32_t(s.tiles), count}, Apply::kShared, apply)) return e;
  }
  return 0;
}

}  // namespace

int run_linear(const LinearCall& c, int head_dim, void* stream) { return head_dim == 64 ? run<64>(c, stream) : run<128>(c, stream); }

}  // namespace zt::cuda_attention
