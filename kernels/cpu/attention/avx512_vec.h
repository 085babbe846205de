// AVX-512 pieces of a Vec, included inside a target region and a namespace.

struct Zmm {
  using F = __m512;
  using Mask = __mmask16;
  static constexpr int kWidth = 16;
  static constexpr int kPanelVectors = 4;
  static constexpr int kAccumulators = 24;
  static F zero() { return _mm512_setzero_ps(); }
  static F set(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_load_ps(p); }
  static void store(float* p, F x) { _mm512_store_ps(p, x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static float max_lane(F x) { return _mm512_reduce_max_ps(x); }
  static float add_lanes(F x) { return _mm512_reduce_add_ps(x); }
  static Mask first_lanes(int n) { return Mask((1u << n) - 1u); }
  static F keep(Mask m, F x) { return _mm512_maskz_mov_ps(m, x); }
  static F keep_or(Mask m, F x, float other) { return _mm512_mask_mov_ps(set(other), m, x); }
  static bool any_not_below(F x, float limit) { return _mm512_cmp_ps_mask(x, set(limit), _CMP_NLT_UQ) != 0; }
  // Minimax polynomials of 2^x on [0, 1): relative error 7.5e-5 (cubic) and 1.5e-7 (quintic), then scalef, which
  // is right at both ends: -inf gives 0, overflow gives inf, NaN stays.
  static F exp2_cubic(F x) {
    F r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
    F p = fma(set(0.07802452266f), r, set(0.2260671554f));
    p = fma(p, r, set(0.6958335405f));
    p = fma(p, r, set(0.9999252186f));
    return _mm512_scalef_ps(p, x);
  }
  static F exp2_quintic(F x) {
    F r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
    F p = fma(set(0.001877576673f), r, set(0.008989340095f));
    p = fma(p, r, set(0.05582631805f));
    p = fma(p, r, set(0.240153617f));
    p = fma(p, r, set(0.6931530732f));
    p = fma(p, r, set(0.9999999251f));
    return _mm512_scalef_ps(p, x);
  }
  // 16 rows of 16 dwords; the first `rows` rows of the transpose are stored.
  static void transpose(const Dword* from, int64_t from_row, Dword* to, int64_t to_row, int rows) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; ++i) a[i] = _mm512_load_si512(from + i * from_row);
    for (int i = 0; i < 16; i += 2) {
      b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
      a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
      a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
      a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
      a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    // a[4g + c]: 128-bit lane l holds rows 4g .. 4g+3 of column 4l + c.
    for (int c = 0; c < 4; ++c) {
      __m512i lo02 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88), lo13 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xdd);
      __m512i hi02 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88), hi13 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xdd);
      b[c] = _mm512_shuffle_i32x4(lo02, hi02, 0x88);
      b[4 + c] = _mm512_shuffle_i32x4(lo13, hi13, 0x88);
      b[8 + c] = _mm512_shuffle_i32x4(lo02, hi02, 0xdd);
      b[12 + c] = _mm512_shuffle_i32x4(lo13, hi13, 0xdd);
    }
    for (int i = 0; i < rows; ++i) _mm512_store_si512(to + i * to_row, b[i]);
  }
};
