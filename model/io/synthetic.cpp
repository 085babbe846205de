#include <deque>

#include "model/io/weights.h"

namespace zt {

// Values of about 0.02 in size. Earlier buffers stay, since views of them may still be read.
struct WeightStore::Synthetic {
  uint64_t state;
  std::deque<std::vector<bf16>> buffers;

  const std::vector<bf16>& at_least(int64_t count) {
    if (buffers.empty() || int64_t(buffers.back().size()) < count) {
      std::vector<bf16> b(static_cast<size_t>(count));
      for (bf16& v : b) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        v = bf16((float(state >> 40) * 0x1p-24f - 0.5f) * 0.07f);
      }
      buffers.push_back(std::move(b));
    }
    return buffers.back();
  }
};

WeightStore WeightStore::synthetic(uint64_t seed) {
  WeightStore w;
  w.where_ = "random weights";
  w.synthetic_ = std::make_shared<Synthetic>(Synthetic{seed, {}});
  return w;
}

TensorView WeightStore::synthetic_view(const Shape& shape) const {
  const auto& b = synthetic_->at_least(shape.count());
  return TensorView(const_cast<bf16*>(b.data()), DType::bf16, shape);
}

}  // namespace zt
