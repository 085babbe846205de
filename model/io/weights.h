// The weights of one part of a model: one safetensors file, or shards with an index. Parts ask for tensors by name and
// shape; whatever is missing, extra or of the wrong shape is collected and reported as one list before the first step.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/io/safetensors.h"

namespace zt {

class LowRank;

class WeightStore {
 public:
  // folder: of a diffusers part (transformer/, vae/, text_encoder/): takes <stem>.safetensors.index.json with its shards,
  // else <stem>.safetensors; stem is diffusion_pytorch_model or model. path may also be one .safetensors file.
  // Shard names are plain file names in the same folder; anything else is refused.
  static Result<WeightStore> open(const std::string& path);
  // Small random bf16 values for whatever is asked, all from one buffer as large as the largest tensor: benchmarks at the
  // size of models that are not here.
  static WeightStore synthetic(uint64_t seed);

  bool has(std::string_view name) const { return tensors_.count(std::string(name)) != 0; }
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  const std::string& where() const { return where_; }
  size_t bytes() const;  // of all tensors

  // Puts a delta over these weights, which must have diffusers names by now (kBadModel when it does not fit them): its whole
  // tensors stand beside the others, and get() gives what it changes merged, as f32, made by `threads` when it is asked for.
  Status overlay(std::shared_ptr<const LowRank> delta, int threads);

  // Asks for a tensor without reading it: a problem is remembered. False: there is no such tensor of a float type and this shape.
  bool expect(const std::string& name, const Shape& shape);
  // The tensor, with its shape checked. A problem is remembered and an empty view returned.
  TensorView get(const std::string& name, const Shape& shape);
  // Names under which tensors may stand without being asked for, e.g. duplicates of tied weights.
  void ignore(std::string name) { ignored_.insert(std::move(name)); }
  // kBadModel with the full list of missing, extra and misshapen tensors, and of those a delta has spoilt, or ok.
  Status finish() const;
  // Tensor data that is NaN or infinite, by name; reads everything. A delta's factors are its own file's.
  Status check_finite() const;
  // `t` is no longer needed (it has been packed): its pages may go. A merged tensor is gone.
  void drop(const TensorView& t);

  // Names of the original Wan repository (self_attn.q, ffn.0, norm3, head.head, ...) become diffusers names, so that the
  // network asks for one naming only. A no-op on diffusers names.
  void rename_original_transformer();
  void rename_original_vae();
  void rename_original_text();

 private:
  struct Synthetic;
  TensorView synthetic_view(const Shape& shape) const;
  TensorView merged(const std::string& name, const TensorView& stored);
  void forget_pages(const TensorView& t) const;
  std::shared_ptr<Synthetic> synthetic_;
  std::string where_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::set<std::string> asked_, ignored_;
  std::vector<std::string> missing_, misshapen_, spoilt_;
  std::shared_ptr<const LowRank> delta_;
  int threads_ = 1;
  std::map<const void*, std::vector<float>> merged_;  // until they are dropped
};

}  // namespace zt
