// Times the decoder at real size with random weights, against the library's matrix product in turns with it.
//   bench_vae [latent_h latent_w latent_t base_dim] [f32|bf16] [threads]       default: 32 32 5 96 bf16, all threads
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>

#include "kernels/api/probe.h"
#include "model/vae/layers.h"
#include "model/vae/vae.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using Clock = std::chrono::steady_clock;

// Of all threads; on a busy machine it tells more than the clock on the wall (run with OMP_WAIT_POLICY=passive).
double cpu_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// bf16 weights of standard deviation 1 / sqrt(fan-in), so that the activations stay about 1.
WeightStore random_weights(const VaeConfig& config, const std::string& path) {
  Arena arena;
  std::vector<Tensor> owners;
  std::vector<NamedTensor> tensors;
  uint64_t seed = 1;
  for (const VaeTensor& t : vae_decoder_tensors(config)) {
    const double fan_in = double(t.shape.count() / t.shape[0]);
    const float scale = t.name.ends_with("weight") ? float(1 / std::sqrt(fan_in)) : 0.5f;
    owners.push_back(testing::random_tensor(arena, DType::bf16, t.shape, ++seed, scale));
    tensors.push_back({t.name, owners.back()});
  }
  Status s = write_safetensors(path, tensors);
  if (!s.ok()) throw Bug(s.message());
  return testing::must(WeightStore::open(path));
}

int bench(int argc, char** argv) {
  auto number = [&](int i, int64_t fallback) { return argc > i ? std::atoll(argv[i]) : fallback; };
  const int64_t h = number(1, 32), w = number(2, 32), frames = number(3, 5);
  VaeConfig config;
  config.base_dim = number(4, 96);
  const DType compute = argc > 5 && std::string(argv[5]) == "f32" ? DType::f32 : DType::bf16;
  auto m = testing::make_machine(detect_isa(), int(number(6, physical_threads())));
  Profiler profiler;
  m->ctx.profiler = &profiler;

  const auto file = std::filesystem::temp_directory_path() / fmt::format("vae_bench_{}.safetensors", ::getpid());
  std::unique_ptr<VaeDecoder> vae;
  {
    WeightStore store = random_weights(config, file.string());
    vae = testing::must(VaeDecoder::load(config, store, compute, m->ctx));
  }
  std::filesystem::remove(file);
  const size_t weights = m->arena.current();

  MatmulShape shape{.m = 4096, .n = 384, .k = 3456, .dtype = compute};
  auto probe = m->ctx.ops->matmul_probe(shape, m->ctx);
  double probe_seconds = 0, probe_best = 1e9, probe_cpu = 0;
  int probes = 0;
  auto turn = [&] {
    const double cpu = cpu_seconds();
    for (int i = 0; probe && i < 3; ++i) {
      const double s = probe->seconds();
      probe_seconds += s, probe_best = std::min(probe_best, s), ++probes;
    }
    probe_cpu += cpu_seconds() - cpu;
  };

  Tensor z = testing::random_tensor(m->arena, DType::f32, {config.z_dim, frames, h, w}, 7);
  m->arena.reset_peak();
  double seconds = 0, cpu = -cpu_seconds();
  int64_t shown = 0;
  auto sink = [&](const TensorView&) {
    ++shown;
    return ok_status();
  };
  auto begin = Clock::now();
  Status s = vae->begin(h, w, m->ctx);
  seconds += since(begin);
  turn();
  for (int64_t t = 0; t < frames && s.ok(); ++t) {
    begin = Clock::now();
    s = vae->push(z.view().select(1, t), sink, m->ctx);
    seconds += since(begin);
    turn();
  }
  if (!s.ok()) throw Bug(s.message());
  cpu += cpu_seconds() - probe_cpu;

  double flops = 0;
  for (const auto& [zone, e] : profiler.entries()) {
    flops += e.flops;
    std::printf("%-14s %6lld calls %8.3f s %8.1f GFLOP/s\n", zone.c_str(), static_cast<long long>(e.calls), e.seconds, e.flops / e.seconds * 1e-9);
  }
  const size_t peak = m->arena.peak() - z.view().bytes();
  const VaeMemory estimate = vae_decode_memory(config, h, w, compute, m->ctx);
  std::printf("decode %lldx%lldx%lld %s: %.2f s, %.2f TFLOP, %.1f GFLOP/s; %.2f s of CPU time, %.1f GFLOP/s\n", static_cast<long long>(w * 8), static_cast<long long>(h * 8),
              static_cast<long long>(shown), std::string(dtype_name(compute)).c_str(), seconds, flops * 1e-12,
              flops / seconds * 1e-9, cpu, flops / cpu * 1e-9);
  if (probe) {
    const double rate = probe->flops() * probes / probe_seconds;
    std::printf("matrix product %.1f GFLOP/s (best %.1f, by CPU time %.1f); decode reaches %.0f%% of it, convolutions %.0f%%\n", rate * 1e-9,
                probe->flops() / probe_best * 1e-9, probe->flops() * probes / probe_cpu * 1e-9, 100 * flops / seconds / rate,
                100 * profiler.entries().at("vae.conv").flops / profiler.entries().at("vae.conv").seconds / rate);
  }
  std::printf("peak %.1f MB, of it weights %.1f; estimate %.1f MB = weights %.1f + cache %.1f + activations %.1f\n", double(peak) * 1e-6,
              double(weights) * 1e-6, double(estimate.total()) * 1e-6, double(estimate.weights) * 1e-6, double(estimate.cache) * 1e-6,
              double(estimate.activations) * 1e-6);
  return 0;
}

}  // namespace
}  // namespace zt

int main(int argc, char** argv) {
  try {
    return zt::bench(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
