#include "app/engine/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <vector>

#include "model/config/config.h"
#include "model/io/safetensors.h"

namespace zt {
namespace {

constexpr size_t kBlock = size_t(64) << 10, kMostBlocks = 1024;

// Four independent multiply-rotate lanes, so that it runs as fast as memory; the constants are splitmix64's.
class Mixer {
 public:
  void add(const uint8_t* p, size_t bytes) {
    for (; bytes >= 32; p += 32, bytes -= 32) {
      uint64_t w[4];
      std::memcpy(w, p, sizeof w);
      for (int i = 0; i < 4; ++i) lanes_[i] = std::rotl((lanes_[i] ^ w[i]) * 0xbf58476d1ce4e5b9u, 29);
    }
    uint64_t rest[4] = {bytes, 0, 0, 0};
    std::memcpy(reinterpret_cast<uint8_t*>(rest) + 1, p, std::min<size_t>(bytes, 31));
    for (int i = 0; i < 4; ++i) lanes_[i] = std::rotl((lanes_[i] ^ rest[i]) * 0x94d049bb133111ebu, 31);
  }
  void add(const std::string& s) { add(reinterpret_cast<const uint8_t*>(s.data()), s.size()); }
  std::string hex() const {
    uint64_t h = 0;
    for (uint64_t lane : lanes_) h = (h ^ lane) * 0x9e3779b97f4a7c15u, h ^= h >> 32;
    return fmt::format("{:016x}", h);
  }

 private:
  uint64_t lanes_[4] = {1, 2, 3, 4};
};

}  // namespace

std::string model_fingerprint(const std::string& root) {
  namespace fs = std::filesystem;
  auto model = open_model_folder(root);
  if (!model.ok()) return {};
  Mixer mixer;
  std::vector<std::string> parts = {model->transformer, model->vae, model->text_encoder};
  if (const auto& v = model->variant) {
    mixer.add(fmt::format("{} {}", v->rank, v->alpha));
    if (v->boundary_ratio) mixer.add(fmt::format("boundary {}", *v->boundary_ratio));
    parts.push_back(v->delta);
  }
  for (const std::string& part : parts) {
    std::error_code error;
    std::vector<fs::path> files;
    if (fs::is_directory(part, error)) {
      for (const auto& e : fs::directory_iterator(part, error)) {
        if (e.path().extension() == ".safetensors") files.push_back(e.path());
      }
    } else {
      files.push_back(part);
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& f : files) {
      auto map = MappedFile::open(f.string());
      if (!map.ok()) return {};
      size_t size = (*map)->size(), blocks = (size + kBlock - 1) / kBlock, read = std::min(blocks, kMostBlocks);
      mixer.add(f.filename().string()), mixer.add(std::to_string(size));
      for (size_t i = 0; i < read; ++i) {
        size_t at = i * blocks / read * kBlock;
        mixer.add((*map)->data() + at, std::min(kBlock, size - at));
      }
    }
  }
  return mixer.hex();
}

const std::string& Fingerprints::of(const std::string& root) {
  auto [at, fresh] = known_.try_emplace(root);
  if (fresh) at->second = model_fingerprint(root);
  return at->second;
}

}  // namespace zt
