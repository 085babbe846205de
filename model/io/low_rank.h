// Low-rank deltas over the weights of a model (LoRA, arXiv 2106.09685): W + alpha / rank * B A, made when a weight is read.
//
// One safetensors file, names as PEFT has them, with "transformer." in front or without:
//   NAME.lora_A.weight [rank, in], NAME.lora_B.weight [out, rank]   for the model's NAME.weight [out, in]; always both
//   NAME.proj_l.weight, NAME.proj_l.bias                            whole tensors that the model lacks or that take its place
// of type f32, bf16 or f16. NAME is a module by its diffusers name. Hostile input: nothing is skipped in silence, every refusal is
// kBadModel and names keys.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "model/io/weights.h"

namespace zt {

class LowRank {
 public:
  struct Pair {
    TensorView a, b;  // [rank, in], [out, rank]
  };
  // Looks at names, types and shapes; values are read by merge and WeightStore::check_finite.
  static Result<std::shared_ptr<const LowRank>> open(const std::string& file, int64_t rank, double alpha);

  const WeightStore& file() const { return file_; }
  int64_t rank() const { return rank_; }
  double alpha() const { return alpha_; }
  const std::map<std::string, Pair, std::less<>>& pairs() const { return pairs_; }        // by the weight they change
  const std::map<std::string, TensorView, std::less<>>& whole() const { return whole_; }  // by their name in the model
  // "70 matrices changed, 14 tensors added"
  std::string summary() const;

  // Whether `base`, under diffusers names, has every weight this changes, in the shape it needs.
  Status check(const WeightStore& base) const;
  // out [out, in] = weight + alpha / rank * B A: the product is summed in f32 in the order of the rank, the weight added last and
  // nothing rounded further. The same bits for every number of threads.
  void merge(const Pair& pair, const TensorView& weight, float* out, int threads) const;
  // What merge needs besides `out`, for a weight [out, in].
  static size_t working_bytes(int64_t out, int64_t in, int64_t rank);

 private:
  std::string key_of(std::string_view name) const;  // as it stands in the file
  WeightStore file_;
  int64_t rank_ = 0;
  double alpha_ = 0;
  std::map<std::string, Pair, std::less<>> pairs_;
  std::map<std::string, TensorView, std::less<>> whole_;
};

}  // namespace zt
