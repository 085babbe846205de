// Random numbers, the one place. Every generator fills a [C, T, H, W] latent in memory order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/core/status.h"

namespace zt {

enum class Rng : uint8_t {
  philox,     // Philox4x32-10, counter-based: element i depends on (seed, stream, i) only
  torch_cpu,  // the numbers of torch.randn with a CPU generator (mt19937, 16-wide Box-Muller; ATen CPUGeneratorImpl)
  torch_cuda  // the numbers of torch.randn on CUDA while the elements fit one launch of the reference card (ATen philox)
};

std::string_view rng_name(Rng r);  // "philox", "torch-cpu", "torch-cuda"
std::optional<Rng> rng_from_name(std::string_view name);

// Standard normal numbers. A Noise is one generator: successive calls go on where the last one stopped.
class Noise {
 public:
  Noise(Rng rng, uint64_t seed);
  void fill(std::span<float> out);
  // Position of the generator as text, and back: checkpoints store it.
  std::string state() const;
  Status restore(std::string_view state);

 private:
  Rng rng_;
  uint64_t seed_;
  uint64_t calls_ = 0;    // philox, torch-cuda: stream / offset
  uint64_t drawn_ = 0;    // torch-cpu: 32-bit words drawn so far (replayed on restore)
  std::optional<float> spare_;  // torch-cpu: second half of a Box-Muller pair of a short fill
};

}  // namespace zt
