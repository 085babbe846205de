#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace zt {

enum class DType : uint8_t { f32, bf16, f16, f8_e4m3, f8_e5m2, i8, u8, i32, i64 };

constexpr size_t dtype_size(DType t) {
  switch (t) {
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::i64: return 8;
    default: return 1;
  }
}

std::string_view dtype_name(DType t);

// bfloat16 as storage. Conversion from float rounds to nearest even; NaN stays NaN.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float f) {
    uint32_t u = std::bit_cast<uint32_t>(f);
    bits = (u & 0x7fffffffu) > 0x7f800000u ? uint16_t((u >> 16) | 0x40) : uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};
static_assert(sizeof(bf16) == 2);

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float f);

// Element i of a float-typed buffer (f32, bf16, f16, f8) as float.
float load_float(const void* p, DType t, int64_t i);
// Stores v into element i of an f32, bf16 or f16 buffer.
void store_float(void* p, DType t, int64_t i, float v);
// n elements of a float-typed buffer to f32 or bf16 (round to nearest even), in order.
void convert_floats(const void* src, DType st, void* dst, DType dt, int64_t n);

template <class T> struct dtype_of;
template <> struct dtype_of<float> { static constexpr DType value = DType::f32; };
template <> struct dtype_of<bf16> { static constexpr DType value = DType::bf16; };
template <> struct dtype_of<int32_t> { static constexpr DType value = DType::i32; };
template <> struct dtype_of<int64_t> { static constexpr DType value = DType::i64; };
template <> struct dtype_of<uint8_t> { static constexpr DType value = DType::u8; };
template <> struct dtype_of<int8_t> { static constexpr DType value = DType::i8; };

}  // namespace zt
