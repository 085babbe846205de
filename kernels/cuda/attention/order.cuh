// Rows into the order of a plan's blocks, and back.
#pragma once

#include "kernels/cuda/common/hw.cuh"

namespace zt::cuda_attention {

// T: what one thread moves at a time. All strides in units of it.
template <class T>
struct MoveRowsParams {
  hw::gptr<const T> from;
  hw::gptr<T> to;
  int64_t from_batch = 0, from_head = 0, from_row = 0, to_batch = 0, to_head = 0, to_row = 0;
  int rows = 0, width = 0;         // of a head; T a row
  hw::gptr<const int32_t> order;   // [sets, rows]: token of each slot
  hw::gptr<const int32_t> set_of;  // per head; -1: tokens in place
  bool scatter = false;            // from slots to tokens; else from tokens to slots
};

template <class T>
struct MoveRows {
  using Params = MoveRowsParams<T>;
  static constexpr int kThreads = 256, kMinBlocks = 1;

  static ZT_DEVICE void run(const Params& p) {
    int head = hw::block_y(), batch = hw::block_z();
    int set = hw::ldg(p.set_of + head);
    for (int64_t i = int64_t(hw::block_x()) * kThreads + hw::thread(); i < int64_t(p.rows) * p.width; i += int64_t(hw::grid_x()) * kThreads) {
      int64_t slot = i / p.width, at = i % p.width;
      int64_t token = set < 0 ? slot : hw::ldg(p.order + (int64_t(set) * p.rows + slot));
      int64_t from = p.scatter ? slot : token, to = p.scatter ? token : slot;
      T x = hw::ldg(p.from + (batch * p.from_batch + head * p.from_head + from * p.from_row + at));
      hw::stg(p.to + (batch * p.to_batch + head * p.to_head + to * p.to_row + at), x);
    }
  }
};

}  // namespace zt::cuda_attention
