// Random numbers, the one place. Every generator fills a [C, T, H, W] latent in memory order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/core/status.h"

namespace zt {

enum class Rng : uint8_t {
  philox,     // Philox4x32-10, counter-based: element i depends on (seed, stream, i) only; no libm, same on every machine
  torch_cpu,  // the numbers of torch.randn with a CPU generator, bit for bit those of its AVX2 and AVX-512 builds
  torch_cuda  // the numbers of torch.randn on CUDA (ATen philox), to float rounding of the device's log and sincos
};

std::string_view rng_name(Rng r);  // "philox", "torch-cpu", "torch-cuda"
std::optional<Rng> rng_from_name(std::string_view name);

// torch-cuda: how ATen spreads elements over threads depends on the card once they outnumber its resident threads. The
// reference card is the H100 (132 multiprocessors x 2048 threads = 270,336), four numbers a thread in one launch:
// more elements than this are refused. Up to 196,608 elements an RTX 4090 gives the same numbers, up to 221,184 an A100.
inline constexpr int64_t kTorchCudaThreads = 132 * 2048;
inline constexpr int64_t kTorchCudaLimit = 4 * kTorchCudaThreads;

// MT19937 (Matsumoto and Nishimura 1998), seeded with 32 bits. The position is part of the state and kept in range.
class Mt19937 {
 public:
  static constexpr int kWords = 624;
  explicit Mt19937(uint32_t seed);
  uint32_t next();

 private:
  friend class Noise;
  void refill();
  std::array<uint32_t, kWords> words_;
  int used_ = kWords;
};

// Standard normal numbers. A Noise is one generator: successive calls go on where the last one stopped.
class Noise {
 public:
  Noise(Rng rng, uint64_t seed);
  // kInvalid when the generator cannot give this many numbers in one fill; ask before filling.
  static Status check(Rng rng, int64_t elements);
  void fill(std::span<float> out);
  // Position of the generator as one line of text, and back: checkpoints store it. restore takes the text of the same
  // generator and seed only (kInvalid otherwise, and then nothing changes).
  std::string state() const;
  Status restore(std::string_view state);

 private:
  void fill_philox(std::span<float> out);
  void fill_torch_cpu(std::span<float> out);
  void fill_torch_cuda(std::span<float> out);
  double torch_uniform53();

  Rng rng_;
  uint64_t seed_;
  uint64_t calls_ = 0;           // philox, torch-cuda: fills so far = stream / offset
  Mt19937 mt_;                   // torch-cpu
  std::optional<double> spare_;  // torch-cpu: second half of a Box-Muller pair of a short fill
};

}  // namespace zt
