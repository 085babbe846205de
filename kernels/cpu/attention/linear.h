// The linear part of a plan, phi(Q) (phi(K)^T V) / (phi(Q) sum phi(K)), as data for the tile kernels (arXiv 2509.24006).
//
// A state is [features][channels] of phi(K)^T V and then [features] sums of phi(K), over some keys of a head, in f32.
// States are made for fixed pieces of the keys and added up in double: numbers of f32 whose exponents lie within 29 of
// each other are added without any rounding, so that all states less those out of scope is what those in scope sum to.
#pragma once

#include "kernels/cpu/attention/tile.h"

namespace zt::cpu_attention {

constexpr int64_t kFeatureUnit = 32;  // features are padded to it: rows of a tile, and keys of a packed chunk

inline int64_t state_floats(const Layout& l) { return l.features * l.channels + l.features; }

// Matrices [features][channels] are packed as values are, in chunks of kChunkKeys rows.
inline Layout matrix_layout(Layout l) {
  l.capacity = kChunkKeys;
  return l;
}
inline int64_t matrix_chunks(const Layout& l) { return (l.features + kChunkKeys - 1) / kChunkKeys; }
inline int64_t matrix_dwords(const Layout& l) { return matrix_chunks(l) * matrix_layout(l).v_dwords(); }

struct StateJob {
  Rows k;     // of the head, from slot 0
  Walk walk;  // packed values, and the blocks to sum
  DType dtype = DType::f32;
  FeatureMap feature = FeatureMap::softmax;
  float* state = nullptr;
};

struct StateSum {
  const float* states = nullptr;
  int64_t size = 0;               // floats a state
  const int32_t* list = nullptr;  // null: states 0, 1, ..
  int64_t count = 0;
  const double* base = nullptr;  // those of the list are taken away from it; null: they are added up
};

struct MatrixJob {
  StateSum sum;
  const float* fold = nullptr;  // [features][channels]: the sum is multiplied with it; null: it is not
  int64_t begin = 0, end = 0;   // chunks to make
  Dword* packed = nullptr;
  float* sums = nullptr;  // [features], made with chunk 0
};

// What the last step of a tile adds.
struct LinearJob {
  FeatureMap feature = FeatureMap::softmax;
  const Dword* matrix = nullptr;  // null: nothing is in scope
  const float* sums = nullptr;
  float epsilon = 0;                  // of the denominator
  const Dword* projection = nullptr;  // packed, after the division; null: none
  const float* bias = nullptr;        // [channels], of the projection
  const float* alpha = nullptr;       // lerp: one a query block of the tile
};

}  // namespace zt::cpu_attention
