#include "model/policy/adaspa_state.h"

#include <bit>
#include <cstring>

#include "kernels/plan/plan_build.h"

namespace zt {
namespace {

// magic, version, count, then for each site: layer, branch, searches, what follows (bit 0: a plan, bit 1: log-sum-exps);
// the plan: valid_until, heads, queries, keys and one bit a (head, query block, key block), packed; heads * queries floats.
// Integers are 64 bits, everything little-endian.
constexpr std::string_view kMagic = "adaspa\n";
constexpr int64_t kVersion = 1;
constexpr int64_t kMaxSites = 1 << 16, kMaxHeads = 4096, kMaxTokens = int64_t(1) << 20;
static_assert(std::endian::native == std::endian::little);

template <class T>
void append(std::string& out, const T* values, size_t count) {
  out.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

void append(std::string& out, int64_t value) { append(out, &value, 1); }

void append_plan(std::string& out, const AttentionPlan& plan) {
  for (int64_t v : {plan.parts().valid_until, int64_t(plan.parts().heads), plan.nq(), plan.nk()}) append(out, v);
  int64_t q_blocks = plan.parts().q.count(), k_blocks = plan.parts().k.count();
  std::vector<uint8_t> bits(size_t(plan.parts().heads * q_blocks * k_blocks + 7) / 8, 0);
  for (int64_t row = 0; row < plan.parts().heads * q_blocks; ++row) {
    for (int32_t c : plan.row(row / q_blocks, row % q_blocks).cols) {
      int64_t bit = row * k_blocks + c;
      bits[size_t(bit / 8)] |= uint8_t(1 << (bit % 8));
    }
  }
  append(out, bits.data(), bits.size());
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }

  template <class T>
  Status read(T* to, int64_t count) {
    if (count < 0 || uint64_t(count) > rest_.size() / sizeof(T)) return invalid("adaspa: saved state ends early");
    std::memcpy(to, rest_.data(), size_t(count) * sizeof(T));
    rest_.remove_prefix(size_t(count) * sizeof(T));
    return {};
  }
  Result<int64_t> number(std::string_view what, int64_t low, int64_t high) {
    int64_t v = 0;
    ZT_RETURN_IF_ERROR(read(&v, 1));
    if (v < low || v > high) return invalid("adaspa: saved state: {} is {}, allowed are {}..{}", what, v, low, high);
    return v;
  }
  Status magic() {
    if (!rest_.starts_with(kMagic)) return invalid("adaspa: not a saved state of this method");
    rest_.remove_prefix(kMagic.size());
    return {};
  }
  // `count` packed bits, one a byte. The bytes are there before anything is allocated by their number.
  Result<std::vector<uint8_t>> bits(int64_t count) {
    size_t bytes = size_t(count + 7) / 8;
    if (bytes > rest_.size()) return invalid("adaspa: saved state ends early");
    std::vector<uint8_t> out(static_cast<size_t>(count));
    for (size_t i = 0; i < out.size(); ++i) out[i] = uint8_t(rest_[i / 8]) >> (i % 8) & 1;
    rest_.remove_prefix(bytes);
    return out;
  }
  Result<std::vector<float>> floats(int64_t count) {
    if (size_t(count) > rest_.size() / sizeof(float)) return invalid("adaspa: saved state ends early");
    std::vector<float> out(static_cast<size_t>(count));
    ZT_RETURN_IF_ERROR(read(out.data(), count));
    return out;
  }

 private:
  std::string_view rest_;
};

Result<PlanPtr> read_plan(Reader& r, int block) {
  PlanParts p;
  ZT_ASSIGN_OR_RETURN(p.valid_until, r.number("horizon", 0, kForever));
  ZT_ASSIGN_OR_RETURN(int64_t heads, r.number("heads", 1, kMaxHeads));
  ZT_ASSIGN_OR_RETURN(int64_t nq, r.number("queries", 1, kMaxTokens));
  ZT_ASSIGN_OR_RETURN(int64_t nk, r.number("keys", 1, kMaxTokens));
  p.heads = int(heads);
  p.q = Blocks::uniform(nq, block), p.k = Blocks::uniform(nk, block);
  ZT_ASSIGN_OR_RETURN(auto map, r.bits(heads * p.q.count() * p.k.count()));
  ZT_ASSIGN_OR_RETURN(PlanPtr plan, plan_from_class_map(std::move(p), map));
  if (plan->stats().empty_rows > 0) return invalid("adaspa: saved state holds query blocks without a key");
  return plan;
}

Result<AdaSpaSite> read_site(Reader& r, int block) {
  AdaSpaSite site;
  ZT_ASSIGN_OR_RETURN(site.searches, r.number("searches", 0, kForever));
  ZT_ASSIGN_OR_RETURN(int64_t follows, r.number("contents", 0, 3));
  if (follows == 2) return invalid("adaspa: saved state holds log-sum-exps without a plan");
  if (follows & 1) {
    ZT_ASSIGN_OR_RETURN(site.plan, read_plan(r, block));
  }
  if (follows & 2) {
    ZT_ASSIGN_OR_RETURN(site.lse, r.floats(site.plan->parts().heads * site.plan->nq()));
  }
  return site;
}

}  // namespace

std::string save_sites(const AdaSpaSites& sites) {
  if (sites.empty()) return {};
  std::string out(kMagic);
  append(out, kVersion), append(out, int64_t(sites.size()));
  for (const auto& [key, site] : sites) {
    append(out, key.first), append(out, int64_t(key.second)), append(out, site.searches);
    append(out, int64_t(site.plan ? 1 : 0) + (site.lse.empty() ? 0 : 2));
    if (site.plan) append_plan(out, *site.plan);
    append(out, site.lse.data(), site.lse.size());
  }
  return out;
}

Result<AdaSpaSites> read_sites(std::string_view bytes, int block) {
  AdaSpaSites sites;
  Reader r(bytes);
  ZT_RETURN_IF_ERROR(r.magic());
  ZT_RETURN_IF_ERROR(r.number("version", kVersion, kVersion).status());
  ZT_ASSIGN_OR_RETURN(int64_t count, r.number("number of sites", 0, kMaxSites));
  for (int64_t i = 0; i < count; ++i) {
    ZT_ASSIGN_OR_RETURN(int64_t layer, r.number("layer", 0, kMaxSites));
    ZT_ASSIGN_OR_RETURN(int64_t branch, r.number("branch", 0, 1));
    ZT_ASSIGN_OR_RETURN(AdaSpaSite site, read_site(r, block));
    if (!sites.emplace(std::pair(layer, Branch(branch)), std::move(site)).second)
      return invalid("adaspa: saved state holds layer {} twice", layer);
  }
  if (!r.done()) return invalid("adaspa: saved state has bytes after its end");
  return sites;
}

}  // namespace zt
