#include "kernels/core/dtype.h"

#include <cmath>

#include "kernels/core/status.h"

namespace zt {

std::string_view dtype_name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
    case DType::f8_e4m3: return "f8_e4m3";
    case DType::f8_e5m2: return "f8_e5m2";
    case DType::i8: return "i8";
    case DType::u8: return "u8";
    case DType::i32: return "i32";
    case DType::i64: return "i64";
  }
  return "?";
}

float f16_to_f32(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000u) << 16, mag = bits & 0x7fffu;
  if (mag >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (mag & 0x3ffu) << 13);
  if (mag < 0x400u) {  // zero or subnormal: mag * 2^-24
    float f = float(mag) * 0x1p-24f;
    return sign ? -f : f;
  }
  return std::bit_cast<float>(sign | ((mag << 13) + (112u << 23)));
}

uint16_t f32_to_f16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f), sign = (u >> 16) & 0x8000u;
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return uint16_t(sign | 0x7e00u);
  if (u >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // rounds to 65536 or more
  if (u < 0x38800000u) {                                  // below 2^-14: subnormal, round to nearest even by the adder
    float m = std::bit_cast<float>(u) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(m) - std::bit_cast<uint32_t>(0.5f)));
  }
  return uint16_t(sign | ((u - (112u << 23) + 0xfffu + ((u >> 13) & 1u)) >> 13));
}

namespace {

float f8_e4m3_to_f32(uint8_t b) {  // "fn": no infinities, 0x7f is NaN
  int e = (b >> 3) & 15, m = b & 7;
  float v = e == 15 && m == 7 ? NAN : e ? std::ldexp(1.f + float(m) / 8, e - 7) : std::ldexp(float(m), -9);
  return b & 0x80 ? -v : v;
}

float f8_e5m2_to_f32(uint8_t b) { return f16_to_f32(uint16_t(b << 8)); }

template <class F>
void convert_with(F load, void* dst, DType dt, int64_t n) {
  if (dt == DType::f32) {
    for (int64_t i = 0; i < n; ++i) static_cast<float*>(dst)[i] = load(i);
  } else {
    ZT_CHECK(dt == DType::bf16);
    for (int64_t i = 0; i < n; ++i) static_cast<bf16*>(dst)[i] = bf16(load(i));
  }
}

}  // namespace

float load_float(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::f32: return static_cast<const float*>(p)[i];
    case DType::bf16: return float(static_cast<const bf16*>(p)[i]);
    case DType::f16: return f16_to_f32(static_cast<const uint16_t*>(p)[i]);
    case DType::f8_e4m3: return f8_e4m3_to_f32(static_cast<const uint8_t*>(p)[i]);
    case DType::f8_e5m2: return f8_e5m2_to_f32(static_cast<const uint8_t*>(p)[i]);
    default: break;
  }
  ZT_CHECK(false && "not a float type");
  return 0;
}

void store_float(void* p, DType t, int64_t i, float v) {
  switch (t) {
    case DType::f32: static_cast<float*>(p)[i] = v; return;
    case DType::bf16: static_cast<bf16*>(p)[i] = bf16(v); return;
    case DType::f16: static_cast<uint16_t*>(p)[i] = f32_to_f16(v); return;
    default: ZT_CHECK(false && "not a storable float type");
  }
}

void convert_floats(const void* src, DType st, void* dst, DType dt, int64_t n) {
  if (st == dt) {
    std::memcpy(dst, src, size_t(n) * dtype_size(st));
    return;
  }
  switch (st) {
    case DType::f32: return convert_with([s = static_cast<const float*>(src)](int64_t i) { return s[i]; }, dst, dt, n);
    case DType::bf16: return convert_with([s = static_cast<const bf16*>(src)](int64_t i) { return float(s[i]); }, dst, dt, n);
    case DType::f16: return convert_with([s = static_cast<const uint16_t*>(src)](int64_t i) { return f16_to_f32(s[i]); }, dst, dt, n);
    default: return convert_with([=](int64_t i) { return load_float(src, st, i); }, dst, dt, n);
  }
}

}  // namespace zt
