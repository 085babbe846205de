// What is needed next, on its way to the cache while the tile at hand is computed.
#pragma once

#include "kernels/cpu/attention/tile.h"

namespace zt::cpu_attention {

// Fetches the rows of a job's `ahead`, a share with every chunk of keys.
class Fetcher {
 public:
  explicit Fetcher(const TileJob& job) : job_(job), row_lines_((job.row_bytes + 63) / 64) {
    int64_t lines = 0, chunks = job.walk.count * job.walk.chunks_per_block;
    for (const Ahead& a : job.ahead) lines += a.count * row_lines_;
    share_ = chunks > 0 ? (lines + chunks - 1) / chunks : 0;
  }
  void next_chunk() {
    for (int64_t left = share_; left > 0 && at_ < 4;) {
      const Ahead& a = job_.ahead[at_];
      if (row_ >= a.count) {
        ++at_, row_ = 0;
        continue;
      }
      const char* row = static_cast<const char*>(a.rows.data) + a.rows.token(row_++) * a.rows.stride * job_.element_bytes;
      for (int64_t i = 0; i < row_lines_; ++i) __builtin_prefetch(row + 64 * i, 0, 2);
      left -= row_lines_;
    }
  }

 private:
  const TileJob& job_;
  int64_t row_lines_, share_ = 0, row_ = 0;
  int at_ = 0;
};

}  // namespace zt::cpu_attention
