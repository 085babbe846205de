#include "model/io/weights.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "model/io/low_rank.h"
#include "model/io/text_file.h"

namespace zt {
namespace {

constexpr std::array<std::string_view, 2> kStems = {"diffusion_pytorch_model", "model"};
constexpr size_t kMaxShards = 4096;
constexpr size_t kListed = 100;  // names spelled out per kind of problem

bool exists(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0;
}

bool is_float(DType t) {
  return t == DType::f32 || t == DType::bf16 || t == DType::f16 || t == DType::f8_e4m3 || t == DType::f8_e5m2;
}

// Without control characters, NUL among them: it will stand in messages.
bool plain_file_name(const std::string& s) {
  bool printable = std::none_of(s.begin(), s.end(), [](char c) { return uint8_t(c) < 0x20 || c == 0x7f; });
  return !s.empty() && s.size() <= 255 && s != "." && s != ".." && s.find_first_of("/\\") == std::string::npos && printable;
}

// weight_map of an index file: tensor name -> shard file name, both checked.
Result<std::map<std::string, std::string>> read_weight_map(const std::string& index) {
  ZT_ASSIGN_OR_RETURN(nlohmann::json j, read_json_file(index));
  if (!j.is_object()) return bad_model("{}: not a JSON object", index);
  auto it = j.find("weight_map");
  if (it == j.end() || !it->is_object()) return bad_model("{}: 'weight_map' is missing or not an object", index);
  if (it->empty()) return bad_model("{}: 'weight_map' is empty", index);
  auto meta = j.find("metadata");
  if (meta != j.end() && !meta->is_object()) return bad_model("{}: 'metadata' is not an object", index);
  std::map<std::string, std::string> map;
  std::set<std::string> shards;
  for (const auto& [name, shard] : it->items()) {
    if (!shard.is_string()) return bad_model("{}: weight_map: tensor '{}': shard name is not a string", index, quotable(name));
    const std::string& file = shard.get_ref<const std::string&>();
    if (!plain_file_name(file)) {
      return bad_model("{}: weight_map: tensor '{}': shard '{}' is not a plain file name", index, quotable(name), quotable(file));
    }
    map.emplace(name, file);
    shards.insert(file);
    if (shards.size() > kMaxShards) return bad_model("{}: weight_map: more than {} shards", index, kMaxShards);
  }
  return map;
}

template <class T>
int64_t count_masked(const void* data, int64_t n, T mask) {
  auto* v = static_cast<const T*>(data);
  T any = 0;  // of the values' own width, so that the loop runs in full vectors; good weights need no second look
  for (int64_t i = 0; i < n; ++i) any |= T((v[i] & mask) == mask);
  int64_t bad = 0;
  for (int64_t i = 0; any && i < n; ++i) bad += (v[i] & mask) == mask;
  return bad;
}

// NaN and infinity have all exponent bits set; e4m3 ("fn") has no infinity and one NaN of each sign.
int64_t count_not_finite(const void* data, DType t, int64_t n) {
  switch (t) {
    case DType::f32: return count_masked<uint32_t>(data, n, 0x7f800000u);
    case DType::bf16: return count_masked<uint16_t>(data, n, 0x7f80);
    case DType::f16: return count_masked<uint16_t>(data, n, 0x7c00);
    case DType::f8_e5m2: return count_masked<uint8_t>(data, n, 0x7c);
    case DType::f8_e4m3: return count_masked<uint8_t>(data, n, 0x7f);
    default: return 0;
  }
}

void list(std::string& out, std::string_view kind, const std::vector<std::string>& names) {
  if (names.empty()) return;
  out += fmt::format("{}{} {}: ", out.empty() ? "" : "; ", names.size(), kind);
  for (size_t i = 0; i < names.size() && i < kListed; ++i) out += (i ? ", " : "") + names[i];
  if (names.size() > kListed) out += fmt::format(" and {} more", names.size() - kListed);
}

}  // namespace

Result<WeightStore> WeightStore::open(const std::string& path) {
  WeightStore w;
  w.where_ = path;
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return bad_model("{}: no such file or folder", path);
  if (!S_ISDIR(st.st_mode)) {
    ZT_ASSIGN_OR_RETURN(SafetensorsFile f, SafetensorsFile::open(path));
    w.files_.push_back(f.file);
    w.tensors_.insert(f.tensors.begin(), f.tensors.end());
    return w;
  }
  for (std::string_view stem : kStems) {
    std::string single = fmt::format("{}/{}.safetensors", path, stem), index = single + ".index.json";
    if (exists(index)) {
      ZT_ASSIGN_OR_RETURN(auto map, read_weight_map(index));
      std::map<std::string, size_t> expected;  // shard -> tensors that the index places in it
      for (const auto& [name, shard] : map) ++expected[shard];
      for (const auto& [shard, count] : expected) {
        ZT_ASSIGN_OR_RETURN(SafetensorsFile f, SafetensorsFile::open(path + "/" + shard));
        for (const auto& [name, view] : f.tensors) {
          auto it = map.find(name);
          if (it == map.end()) return bad_model("{}: tensor '{}' of shard {} is not in weight_map", index, quotable(name), shard);
          if (it->second != shard) {
            return bad_model("{}: tensor '{}' is in shard {}, weight_map says {}", index, quotable(name), shard, it->second);
          }
          w.tensors_.emplace(name, view);
        }
        w.files_.push_back(f.file);
      }
      for (const auto& [name, shard] : map) {
        if (!w.has(name)) return bad_model("{}: tensor '{}' is not in shard {}", index, quotable(name), shard);
      }
      return w;
    }
    if (exists(single)) return open(single);
  }
  return bad_model("{}: no weights (diffusion_pytorch_model.safetensors or model.safetensors, or their index) in this folder",
                   path);
}

size_t WeightStore::bytes() const {
  size_t n = 0;
  for (const auto& [name, t] : tensors_) n += t.bytes();
  return n;
}

Status WeightStore::overlay(std::shared_ptr<const LowRank> delta, int threads) {
  ZT_CHECK(!delta_ && !synthetic_);
  ZT_RETURN_IF_ERROR(delta->check(*this));
  for (const auto& [name, t] : delta->whole()) tensors_[name] = t;
  where_ += " with " + delta->file().where();
  threads_ = threads;
  delta_ = std::move(delta);
  return {};
}

bool WeightStore::expect(const std::string& name, const Shape& shape) {
  asked_.insert(name);
  if (synthetic_) tensors_[name] = synthetic_view(shape);
  auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    missing_.push_back(name);
    return false;
  }
  const TensorView& t = it->second;
  if (!is_float(t.dtype)) {
    misshapen_.push_back(fmt::format("{} is of type {}, not a float type", name, dtype_name(t.dtype)));
    return false;
  }
  if (!(t.shape == shape)) {
    misshapen_.push_back(fmt::format("{} is {}, expected {}", name, t.shape.str(), shape.str()));
    return false;
  }
  return true;
}

TensorView WeightStore::get(const std::string& name, const Shape& shape) {
  if (!expect(name, shape)) return {};
  return merged(name, tensors_.find(name)->second);
}

TensorView WeightStore::merged(const std::string& name, const TensorView& stored) {
  if (!delta_) return stored;
  auto pair = delta_->pairs().find(name);
  if (pair == delta_->pairs().end()) return stored;
  std::vector<float> sum(static_cast<size_t>(stored.count()));
  delta_->merge(pair->second, stored, sum.data(), threads_);
  for (const TensorView& read : {stored, pair->second.a, pair->second.b}) forget_pages(read);
  // Both may be finite and their sum not.
  if (int64_t bad = count_not_finite(sum.data(), DType::f32, stored.count()); bad > 0) {
    spoilt_.push_back(fmt::format("{} ({} of {} values)", quotable(name), bad, stored.count()));
    return {};
  }
  TensorView view(sum.data(), DType::f32, stored.shape);
  merged_.emplace(view.data, std::move(sum));
  return view;
}

Status WeightStore::finish() const {
  std::vector<std::string> extra;
  for (const auto& [name, t] : tensors_) {
    if (!asked_.count(name) && !ignored_.count(name)) extra.push_back(quotable(name));
  }
  std::string text;
  list(text, "missing", missing_);
  list(text, "extra", extra);
  list(text, "of the wrong shape", misshapen_);
  list(text, "not finite with the delta", spoilt_);
  if (text.empty()) return ok_status();
  return bad_model("{}: tensors do not fit the config: {}", where_, text);
}

Status WeightStore::check_finite() const {
  std::vector<std::string> bad;
  for (const auto& [name, t] : tensors_) {
    // In pieces: an embedding table of 4 GB must not be in memory as a whole.
    constexpr int64_t kPiece = int64_t(4) << 20;
    TensorView flat = t.reshape({t.count()});
    int64_t n = 0;
    for (int64_t at = 0; at < t.count(); at += kPiece) {
      TensorView piece = flat.slice(0, at, std::min(kPiece, t.count() - at));
      n += count_not_finite(piece.data, t.dtype, piece.count());
      forget_pages(piece);
    }
    if (n > 0) bad.push_back(fmt::format("{} ({} of {} values)", quotable(name), n, t.count()));
  }
  if (bad.empty()) return ok_status();
  std::string text;
  list(text, bad.size() == 1 ? "tensor has NaN or infinite values" : "tensors have NaN or infinite values", bad);
  return bad_model("{}: {}", where_, text);
}

void WeightStore::drop(const TensorView& t) {
  if (merged_.erase(t.data) == 0) forget_pages(t);
}

void WeightStore::forget_pages(const TensorView& t) const {
  for (const auto& f : files_) f->drop(t.data, t.bytes());
  if (delta_) delta_->file().forget_pages(t);
}

}  // namespace zt
