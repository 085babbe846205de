// Rows in and out of the packed forms, for tile_body.h and amx.cpp (inside the same target region and namespace).
// Plain loops that the compiler turns into vectors of the region's instruction set.

inline void widen_row(const Half* from, Dword* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(from[i]) << 16;
}

// Copies `rows` rows to s as dwords of the compute type, zero filled to lay.row dwords and to `padded` rows.
inline void stage_rows(const Layout& lay, const Rows& from, DType dtype, int64_t rows, int64_t padded, Dword* to) {
  for (int64_t i = 0; i < rows; ++i, to += lay.row) {
    int64_t done = lay.head_dim;
    if (dtype == DType::f32) {
      __builtin_memcpy(to, static_cast<const float*>(from.data) + i * from.stride, size_t(done) * 4);
    } else if (lay.pairs == 1) {
      widen_row(static_cast<const Half*>(from.data) + i * from.stride, to, done);
    } else {
      __builtin_memcpy(to, static_cast<const Half*>(from.data) + i * from.stride, size_t(done) * 2);
      if (done % 2) {
        uint16_t last = static_cast<const Half*>(from.data)[i * from.stride + done - 1];
        to[done / 2] = last;
      }
      done = (done + 1) / 2;
    }
    for (; done < lay.row; ++done) to[done] = 0;
  }
  for (int64_t i = rows; i < padded; ++i) {
    for (int64_t j = 0; j < lay.row; ++j) *to++ = 0;
  }
}

// Staged keys to [panel][dword of the channels][key]. keys: a multiple of the vector width.
inline void pack_keys(const Layout& lay, const Dword* stage, int64_t keys, Dword* packed) {
  for (int64_t k = 0; k < keys; k += Vec::kWidth) {
    int64_t panel = k / lay.panel, width = lay.panel_width(panel, lay.capacity);
    Dword* to = packed + panel * lay.panel * lay.steps + k % lay.panel;
    for (int64_t j = 0; j < lay.steps; j += Vec::kWidth) {
      int64_t left = lay.steps - j;
      Vec::transpose(stage + k * lay.row + j, lay.row, to + j * width, width, left < Vec::kWidth ? int(left) : Vec::kWidth);
    }
  }
}

inline void pair_row(const Half* even, const Half* odd, Dword* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(even[i]) | uint32_t(odd[i]) << 16;
}

// Staged values to [panel][dword of the keys][channel]. keys: a multiple of pairs; lay.row covers lay.channels.
inline void pack_values(const Layout& lay, const Dword* stage, int64_t keys, Dword* packed) {
  for (int64_t p = 0; p * lay.panel < lay.channels; ++p) {
    int64_t width = lay.panel_width(p, lay.channels);
    Dword* to = packed + p * lay.panel * (lay.capacity / lay.pairs);
    for (int64_t k = 0; k < keys; k += lay.pairs, to += width) {
      if (lay.pairs == 1) {
        __builtin_memcpy(to, stage + k * lay.row + p * lay.panel, size_t(width) * 4);
      } else {
        const Half* even = reinterpret_cast<const Half*>(stage + k * lay.row) + p * lay.panel;
        pair_row(even, even + 2 * lay.row, to, width);
      }
    }
  }
}

inline void pack(const Layout& lay, const PackJob& job, const Scratch& s) {
  int64_t keys = round_up(job.keys, lay.key_unit);
  stage_rows(lay, job.k, job.dtype, job.keys, keys, s.stage);
  pack_keys(lay, s.stage, keys, job.packed_k);
  stage_rows(lay, job.v, job.dtype, job.keys, keys, s.stage);
  pack_values(lay, s.stage, keys, job.packed_v);
}

inline void round_row(const Dword* from, Half* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint32_t u = from[i], rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    to[i] = uint16_t((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

// Divides a row by its sum and stores it. A sum of 0 means that no key counted: 0 and -inf.
inline void finish_row(const Layout& lay, const TileJob& job, const Scratch& s, int r) {
  float sum = Vec::add_lanes(Vec::load(s.sum + r * kLanes));
  float* row = s.out + r * lay.channels;
  bool none = sum == 0;
  float factor = none ? 0.f : 1.f / sum;
  for (int64_t c = 0; c < lay.channels; ++c) row[c] = none ? 0.f : row[c] * factor;
  if (job.dtype == DType::f32) {
    __builtin_memcpy(static_cast<float*>(job.out.data) + r * job.out.stride, row, size_t(lay.head_dim) * 4);
  } else {
    round_row(reinterpret_cast<const Dword*>(row), static_cast<Half*>(job.out.data) + r * job.out.stride, lay.head_dim);
  }
  if (job.lse) job.lse[r] = none ? -__builtin_inff() : float((double(s.ref[r]) + __builtin_log2(double(sum))) * 0.6931471805599453);
}
