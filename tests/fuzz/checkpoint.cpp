// Checkpoints, read as a job would whose settings they claim to have.
#include <algorithm>
#include <cmath>

#include "app/engine/checkpoint.h"
#include "tests/fuzz/fuzz.h"

namespace zt::fuzz {
namespace {

const CheckpointKey kKey{std::string(64, 'a'), std::string(64, 'b'), 20};

}  // namespace

std::vector<std::string> seeds() {
  static const Scratch scratch;
  std::vector<std::string> out;
  for (const char* policy : {"", "remembered"}) {
    std::vector<float> values(2 * 1 * 2 * 2, 0.5f);
    TensorView v(values.data(), DType::f32, {2, 1, 2, 2});
    DenoiseState s{7, 20, v, {{"x0_even", v}, {"x0_odd", v}}, "philox 42 1", policy};
    std::string path = scratch.path() + "/.good.checkpoint";
    require(write_checkpoint(path, kKey, s, nullptr).ok());
    std::ifstream f(path, std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(f), std::istreambuf_iterator<char>());
  }
  return out;
}

void one(std::string_view input) {
  static const Scratch scratch;
  auto c = read_checkpoint(scratch.write(".x.checkpoint", input), kKey);
  if (!c.ok()) return require(c.status().message().find('\n') == std::string::npos);
  // Chance finds no SHA-256 that fits, but a fuzzer that watches comparisons does: what is accepted must be fit to go on from.
  const DenoiseState& s = c->state;
  require(s.steps == kKey.steps && s.step >= 1 && s.step <= s.steps && s.latents.count() > 0);
  auto sound = [&](const TensorView& t) {
    const float* p = t.as<float>();
    return t.shape == s.latents.shape && std::all_of(p, p + t.count(), [](float v) { return std::isfinite(v); });
  };
  require(sound(s.latents));
  for (const auto& [name, t] : s.solver) require(sound(t));
  std::string again = scratch.path() + "/.again.checkpoint";
  require(write_checkpoint(again, kKey, s, nullptr, false).ok() && read_checkpoint(again, kKey).ok());
}

}  // namespace zt::fuzz
