#include "model/sampling/noise.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "model/sampling/noise_math.h"
#include "model/sampling/philox.h"

namespace zt {
namespace {

constexpr std::string_view kNames[] = {"philox", "torch-cpu", "torch-cuda"};

// Next field of a state line, without its separator.
std::string_view take_field(std::string_view* text) {
  size_t end = std::min(text->find(' '), text->size());
  std::string_view field = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return field;
}

template <class T>
std::optional<T> parse_number(std::string_view field, int base = 10) {
  T value{};
  auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, base);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view rng_name(Rng r) { return kNames[size_t(r)]; }

std::optional<Rng> rng_from_name(std::string_view name) {
  for (Rng r : {Rng::philox, Rng::torch_cpu, Rng::torch_cuda}) {
    if (rng_name(r) == name) return r;
  }
  return std::nullopt;
}

Mt19937::Mt19937(uint32_t seed) {
  words_[0] = seed;
  for (uint32_t i = 1; i < kWords; ++i) words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
}

void Mt19937::refill() {
  constexpr size_t n = kWords;
  for (size_t i = 0; i < n; ++i) {
    uint32_t y = (words_[i] & 0x80000000u) | (words_[(i + 1) % n] & 0x7fffffffu);
    words_[i] = words_[(i + 397) % n] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0);
  }
  used_ = 0;
}

uint32_t Mt19937::next() {
  if (used_ == kWords) refill();
  uint32_t y = words_[size_t(used_++)];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

// ATen keeps the low 32 bits of a seed for its CPU generator.
Noise::Noise(Rng rng, uint64_t seed) : rng_(rng), seed_(seed), mt_(uint32_t(seed)) {}

Status Noise::check(Rng rng, int64_t elements) {
  if (elements < 0) return invalid("a clip of {} latent elements", elements);
  if (rng == Rng::torch_cuda && elements > kTorchCudaLimit) {
    return invalid(
        "--rng torch-cuda gives at most {} numbers (one launch of the reference card, H100), this clip needs {}; use "
        "--rng philox or --init-latents",
        kTorchCudaLimit, elements);
  }
  return ok_status();
}

void Noise::fill(std::span<float> out) {
  if (out.empty()) return;
  switch (rng_) {
    case Rng::philox: return fill_philox(out);
    case Rng::torch_cpu: return fill_torch_cpu(out);
    case Rng::torch_cuda: return fill_torch_cuda(out);
  }
}

void Noise::fill_philox(std::span<float> out) {
  const uint64_t stream = calls_++;
  for (size_t begin = 0; begin < out.size(); begin += 4) {
    uint64_t block = begin / 4;
    auto w = philox4x32({uint32_t(block), uint32_t(block >> 32), uint32_t(stream), uint32_t(stream >> 32)}, seed_);
    for (size_t i = 0; i < 4 && begin + i < out.size(); i += 2) {
      double radius = std::sqrt(-2 * portable_log((w[i] + 0.5) * 0x1p-32));
      SinCos sc = portable_sincos((w[i + 1] + 0.5) * 0x1p-32);
      out[begin + i] = float(radius * sc.cos);
      if (begin + i + 1 < out.size()) out[begin + i + 1] = float(radius * sc.sin);
    }
  }
}

double Noise::torch_uniform53() {
  uint64_t high = mt_.next();
  uint64_t low = mt_.next();
  return double(((high << 32) | low) & ((uint64_t(1) << 53) - 1)) * 0x1p-53;
}

// ATen DistributionTemplates: from 16 numbers on, all uniforms first, then groups of 16 in place; a ragged end draws 16
// new uniforms for the last 16 numbers. Below 16, pairs in double whose second half waits for the next short fill.
void Noise::fill_torch_cpu(std::span<float> out) {
  constexpr size_t kGroup = 16;
  if (out.size() < kGroup) {
    for (float& v : out) {
      if (spare_) {
        v = float(*spare_);
        spare_.reset();
        continue;
      }
      double angle = 6.28318530717958647693 * torch_uniform53();
      double radius = std::sqrt(-2 * std::log1p(-torch_uniform53()));
      spare_ = radius * std::sin(angle);
      v = float(radius * std::cos(angle));
    }
    return;
  }
  auto uniforms = [&](std::span<float> u) {
    for (float& v : u) v = float(mt_.next() & 0xffffffu) * 0x1p-24f;
  };
  auto normals = [](std::span<float> g) {
    for (size_t i = 0; i < kGroup / 2; ++i) {
      NormalPair z = torch_box_muller(1 - g[i], g[i + kGroup / 2]);
      g[i] = z.first;
      g[i + kGroup / 2] = z.second;
    }
  };
  uniforms(out);
  for (size_t i = 0; i + kGroup <= out.size(); i += kGroup) normals(out.subspan(i, kGroup));
  if (out.size() % kGroup) {
    uniforms(out.last(kGroup));
    normals(out.last(kGroup));
  }
}

// ATen distribution_nullary_kernel: 256 threads a block, as many blocks as the elements need or the card holds; thread t
// owns elements t, t + T, t + 2 T, t + 3 T and draws them with one curand_normal4 of subsequence t (Philox words 2 and
// 3) at the generator's offset (words 0 and 1, in fours).
void Noise::fill_torch_cuda(std::span<float> out) {
  ZT_CHECK(check(rng_, int64_t(out.size())).ok());
  constexpr size_t kBlock = 256;
  constexpr float kScale = 2.3283064e-10f, kAngleScale = 2.3283064e-10f * 6.2831855f;  // curand's float 2^-32, 2^-31 pi
  const size_t threads = std::min((out.size() + kBlock - 1) / kBlock * kBlock, size_t(kTorchCudaThreads));
  const uint64_t offset = calls_++;
  for (size_t t = 0; t < std::min(threads, out.size()); ++t) {
    auto w = philox4x32({uint32_t(offset), uint32_t(offset >> 32), uint32_t(t), 0}, seed_);
    for (size_t i = 0; i < 4 && t + i * threads < out.size(); i += 2) {
      float u = float(w[i]) * kScale + kScale / 2;
      float v = float(w[i + 1]) * kAngleScale + kAngleScale / 2;
      float radius = std::sqrt(-2 * float(portable_log(double(u))));
      SinCos sc = portable_sincos(std::min(1.0, double(v) / 6.28318530717958647693));
      out[t + i * threads] = float(sc.sin) * radius;
      if (t + (i + 1) * threads < out.size()) out[t + (i + 1) * threads] = float(sc.cos) * radius;
    }
  }
}

std::string Noise::state() const {
  if (rng_ != Rng::torch_cpu) return fmt::format("{} {} {}", rng_name(rng_), seed_, calls_);
  std::string text = fmt::format("{} {} {} ", rng_name(rng_), seed_, mt_.used_);
  for (uint32_t w : mt_.words_) text += fmt::format("{:08x}", w);
  return text + (spare_ ? fmt::format(" {:016x}", std::bit_cast<uint64_t>(*spare_)) : std::string(" -"));
}

Status Noise::restore(std::string_view state) {
  const Status damaged = invalid("random number state of the checkpoint is damaged");
  std::string_view rest = state;
  if (take_field(&rest) != rng_name(rng_)) return invalid("the checkpoint was made with another random number generator");
  auto seed = parse_number<uint64_t>(take_field(&rest));
  if (!seed) return damaged;
  if (*seed != seed_) return invalid("the checkpoint was made with seed {}, not {}", *seed, seed_);
  Noise restored = *this;
  if (rng_ == Rng::torch_cpu) {
    auto used = parse_number<int>(take_field(&rest));
    std::string_view words = take_field(&rest), spare = take_field(&rest);
    if (!used || *used < 0 || *used > Mt19937::kWords || words.size() != 8 * Mt19937::kWords) return damaged;
    restored.mt_.used_ = *used;
    for (size_t i = 0; i < restored.mt_.words_.size(); ++i) {
      auto w = parse_number<uint32_t>(words.substr(8 * i, 8), 16);
      if (!w) return damaged;
      restored.mt_.words_[i] = *w;
    }
    restored.spare_.reset();
    if (spare != "-") {
      auto bits = parse_number<uint64_t>(spare, 16);
      if (!bits || !std::isfinite(std::bit_cast<double>(*bits))) return damaged;
      restored.spare_ = std::bit_cast<double>(*bits);
    }
  } else {
    auto calls = parse_number<uint64_t>(take_field(&rest));
    if (!calls) return damaged;
    restored.calls_ = *calls;
  }
  if (restored.state() != state) return damaged;  // anything written otherwise was not written by state()
  *this = restored;
  return ok_status();
}

}  // namespace zt
