#include "model/io/low_rank.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/core/parallel.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

constexpr std::string_view kPrefix = "transformer.", kA = ".lora_A.weight", kB = ".lora_B.weight";
constexpr size_t kListed = 20;  // keys spelled out in a message
// Rows and columns of the product that are summed in registers at a time. The columns are one vector, said as such: GCC leaves
// the plain loops in memory, at a fifth of the speed.
constexpr int64_t kRows = 4, kColumns = 4;
using Columns = float __attribute__((vector_size(kColumns * sizeof(float))));

int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

bool plain_float(DType t) { return t == DType::f32 || t == DType::bf16 || t == DType::f16; }

std::string listed(const std::vector<std::string>& keys) {
  std::string text;
  for (size_t i = 0; i < keys.size() && i < kListed; ++i) text += (i ? ", " : "") + quotable(keys[i]);
  if (keys.size() > kListed) text += fmt::format(" and {} more", keys.size() - kListed);
  return text;
}

// A [rank, in] as strips of kColumns columns, [strip][rank][kColumns], zeros beyond the last column.
std::vector<float> in_strips(const TensorView& a) {
  const int64_t rank = a.dim(0), in = a.dim(1), strips = rounded_up(in, kColumns) / kColumns;
  std::vector<float> row(size_t(in), 0.f), out(size_t(strips * rank * kColumns), 0.f);
  for (int64_t r = 0; r < rank; ++r) {
    convert_floats(a.select(0, r).data, a.dtype, row.data(), DType::f32, in);
    for (int64_t s = 0; s < strips; ++s) {
      int64_t at = s * kColumns, n = std::min(kColumns, in - at);
      std::copy_n(row.data() + at, n, out.data() + (s * rank + r) * kColumns);
    }
  }
  return out;
}

// B [out, rank] as f32, zeros beyond the last row.
std::vector<float> in_rows(const TensorView& b) {
  std::vector<float> out(size_t(rounded_up(b.dim(0), kRows) * b.dim(1)), 0.f);
  convert_floats(b.data, b.dtype, out.data(), DType::f32, b.count());
  return out;
}

}  // namespace

Result<std::shared_ptr<const LowRank>> LowRank::open(const std::string& file, int64_t rank, double alpha) {
  ZT_CHECK(rank > 0);
  auto made = std::make_shared<LowRank>();
  ZT_ASSIGN_OR_RETURN(made->file_, WeightStore::open(file));
  made->rank_ = rank, made->alpha_ = alpha;
  std::vector<std::string> unknown;
  for (const auto& [key, t] : made->file_.tensors()) {
    if (!plain_float(t.dtype)) return bad_model("{}: {} is of type {}; f32, bf16 or f16 is wanted", file, quotable(key), dtype_name(t.dtype));
    std::string_view name = key;
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    bool fresh = true;
    if (name.ends_with(kA) || name.ends_with(kB)) {
      const bool is_a = name.ends_with(kA);
      name.remove_suffix(kA.size());
      if (t.rank() != 2 || t.dim(is_a ? 0 : 1) != rank || t.count() == 0)
        return bad_model("{}: {} is {}; {} is wanted for rank {}", file, quotable(key), t.shape.str(), is_a ? "[rank, in]" : "[out, rank]", rank);
      Pair& pair = made->pairs_[std::string(name) + ".weight"];
      TensorView& half = is_a ? pair.a : pair.b;
      fresh = !half;
      half = t;
    } else if (name.ends_with(".proj_l.weight") || name.ends_with(".proj_l.bias")) {
      fresh = made->whole_.emplace(name, t).second;
    } else {
      unknown.push_back(key);
    }
    if (!fresh) return bad_model("{}: {} stands twice, with and without '{}'", file, quotable(key), kPrefix);
  }
  if (!unknown.empty()) return bad_model("{}: {} keys are neither lora_A, lora_B nor proj_l: {}", file, unknown.size(), listed(unknown));
  for (const auto& [weight, pair] : made->pairs_) {
    std::string module = weight.substr(0, weight.size() - std::string_view(".weight").size());
    if (!pair.a) return bad_model("{}: {}{} has no {}{}", file, quotable(module), kB, quotable(module), kA);
    if (!pair.b) return bad_model("{}: {}{} has no {}{}", file, quotable(module), kA, quotable(module), kB);
  }
  return std::shared_ptr<const LowRank>(std::move(made));
}

std::string LowRank::key_of(std::string_view name) const {
  std::string with = std::string(kPrefix) + std::string(name);
  return file_.has(with) ? with : std::string(name);
}

std::string LowRank::summary() const {
  auto some = [](size_t n, const char* one, const char* more) { return fmt::format("{} {}", n, n == 1 ? one : more); };
  std::string text = some(pairs_.size(), "matrix", "matrices") + " changed";
  return whole_.empty() ? text : text + ", " + some(whole_.size(), "tensor", "tensors") + " added";
}

Status LowRank::check(const WeightStore& base) const {
  std::vector<std::string> unmatched;
  for (const auto& [weight, pair] : pairs_) {
    std::string key = key_of(weight.substr(0, weight.size() - std::string_view(".weight").size()) + std::string(kA));
    auto found = base.tensors().find(weight);
    if (found == base.tensors().end()) {
      unmatched.push_back(key);
      continue;
    }
    const TensorView& w = found->second;
    if (w.rank() != 2 || w.dim(0) != pair.b.dim(0) || w.dim(1) != pair.a.dim(1))
      return bad_model("{}: {} and its lora_B make [{}, {}], the model's {} is {}", file_.where(), quotable(key), pair.b.dim(0),
                       pair.a.dim(1), quotable(weight), w.shape.str());
  }
  if (unmatched.empty()) return {};
  return bad_model("{}: {} of {} matrices match no weight of {}: {}", file_.where(), unmatched.size(), pairs_.size(), base.where(),
                   listed(unmatched));
}

void LowRank::merge(const Pair& pair, const TensorView& weight, float* out, int threads) const {
  const int64_t rows = pair.b.dim(0), columns = pair.a.dim(1), rank = rank_;
  ZT_CHECK(weight.rank() == 2 && weight.dim(0) == rows && weight.dim(1) == columns && weight.dense());
  const std::vector<float> a = in_strips(pair.a), b = in_rows(pair.b);
  const float scale = float(alpha_ / double(rank_));
  convert_floats(weight.data, weight.dtype, out, DType::f32, weight.count());
  parallel_for(threads, rounded_up(rows, kRows) / kRows, [&](int64_t group) {
    const float* left = b.data() + group * kRows * rank;
    const int64_t height = std::min(kRows, rows - group * kRows);
    for (int64_t at = 0; at < columns; at += kColumns) {
      const float* right = a.data() + at * rank;
      Columns sum[kRows] = {};
      for (int64_t r = 0; r < rank; ++r) {
        Columns values;
        std::memcpy(&values, right + r * kColumns, sizeof values);
        for (int64_t i = 0; i < kRows; ++i) sum[i] += left[i * rank + r] * values;
      }
      const int64_t width = std::min(kColumns, columns - at);
      for (int64_t i = 0; i < height; ++i) {
        float* to = out + (group * kRows + i) * columns + at;
        for (int64_t j = 0; j < width; ++j) to[j] += scale * sum[i][j];
      }
    }
  });
}

size_t LowRank::working_bytes(int64_t out, int64_t in, int64_t rank) {
  return sizeof(float) * size_t((rounded_up(out, kRows) + rounded_up(in, kColumns)) * rank + in);
}

}  // namespace zt
