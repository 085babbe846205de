#include "kernels/plan/plan_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include "kernels/plan/toml.h"

namespace zt {
namespace {

constexpr std::array<std::string_view, 3> kScopes = {"complement", "global", "listed"};
constexpr std::array<std::string_view, 3> kFeatures = {"softmax", "elu", "relu"};
constexpr std::array<std::string_view, 2> kBlends = {"sum", "lerp"};

class Writer {
 public:
  template <class... A>
  void line(fmt::format_string<A...> f, A&&... a) {
    fmt::format_to(std::back_inserter(out_), f, std::forward<A>(a)...);
    out_ += '\n';
  }
  // Twenty numbers a line, so that the text can be read and compared.
  template <class T>
  void list(std::string_view key, const std::vector<T>& v) {
    fmt::format_to(std::back_inserter(out_), "{} = [", key);
    for (size_t i = 0; i < v.size(); ++i) {
      if (i > 0) out_ += i % 20 == 0 ? ",\n  " : ", ";
      fmt::format_to(std::back_inserter(out_), "{}", v[i]);  // floats: shortest text that reads back to the same bits
    }
    out_ += "]\n";
  }
  void rows(const std::vector<int64_t>& offsets) {
    std::vector<int64_t> counts;
    for (size_t i = 0; i + 1 < offsets.size(); ++i) counts.push_back(offsets[i + 1] - offsets[i]);
    list("row_counts", counts);
  }
  void order(std::string_view name, const TokenOrder& o) {
    if (o.sets == 0) return;
    line("\n[{}]\nsets = {}", name, o.sets);
    if (!o.head_set.empty()) list("heads", o.head_set);
    list("order", o.order);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

template <class T>
std::vector<T> narrow(const std::vector<int64_t>& v) {
  return std::vector<T>(v.begin(), v.end());
}

constexpr int64_t kMaxIndex = std::numeric_limits<int32_t>::max();

// Keys of one table, with the first error kept, so that the reading code stays a list of fields.
class Fields {
 public:
  explicit Fields(TomlTable& t) : t_(t) {}
  bool has(const std::string& key) const { return t_.has(key); }
  int64_t integer(const std::string& key, int64_t low, int64_t high) { return take(t_.integer(key, low, high)); }
  bool boolean(const std::string& key) { return take(t_.boolean(key)); }
  std::string text(const std::string& key) { return take(t_.text(key)); }
  std::vector<int32_t> indices(const std::string& key, int64_t low = 0) {
    return narrow<int32_t>(take(t_.integers(key, low, kMaxIndex)));
  }
  std::vector<int32_t> optional_indices(const std::string& key, int64_t low = 0) {
    return has(key) ? indices(key, low) : std::vector<int32_t>();
  }
  std::vector<float> floats(const std::string& key) { return take_floats(take(t_.numbers(key))); }
  std::vector<std::string> texts(const std::string& key) { return take(t_.texts(key)); }
  std::vector<int64_t> row_offsets() {
    std::vector<int64_t> out{0};
    for (int64_t n : take(t_.integers("row_counts", 0, kMaxIndex))) out.push_back(out.back() + n);
    return out;
  }
  template <class Enum, size_t n>
  Enum choice(const std::string& key, const std::array<std::string_view, n>& names) {
    std::string value = text(key);
    for (size_t i = 0; i < n; ++i) {
      if (names[i] == value) return Enum(i);
    }
    fail(invalid("'{}' is '{}', allowed are {}", key, value.substr(0, 40), fmt::join(names, ", ")));
    return Enum(0);
  }
  void fail(Status s) {
    if (status_.ok()) status_ = std::move(s);
  }
  Status finish() {
    if (status_.ok()) status_ = t_.finish();
    return status_;
  }

 private:
  template <class T>
  T take(Result<T> r) {
    if (r.ok()) return std::move(r).value();
    fail(r.status());
    return T();
  }
  std::vector<float> take_floats(const std::vector<double>& v) {
    std::vector<float> out;
    for (double d : v) {
      out.push_back(float(d));
      if (!std::isfinite(out.back())) fail(invalid("{} does not fit a float", d));
    }
    return out;
  }
  TomlTable& t_;
  Status status_;
};

Status read_blocks(TomlDocument& doc, const char* name, Blocks& out) {
  TomlTable* t = doc.find(name);
  if (!t) return invalid("table [{}] is missing", name);
  Fields f(*t);
  out.block = int(f.integer("block", 1, 4096));
  out.valid = f.indices("valid");
  return f.finish();
}

Status read_order(TomlDocument& doc, const char* name, TokenOrder& out) {
  TomlTable* t = doc.find(name);
  if (!t) return {};
  Fields f(*t);
  out.sets = int(f.integer("sets", 1, 4096));
  out.head_set = f.optional_indices("heads", -1);
  out.order = f.indices("order");
  return f.finish();
}

Status read_masks(TomlDocument& doc, PlanParts& p) {
  TomlTable* t = doc.find("masks");
  if (!t) return {};
  Fields f(*t);
  p.mask_of = f.indices("of", -1);
  size_t digits = size_t(p.mask_size()) * 16;
  for (const std::string& mask : f.texts("bits")) {
    if (mask.size() != digits) return invalid("a mask of {} hexadecimal digits, expected {}", mask.size(), digits);
    for (size_t i = 0; i < digits; i += 16) {
      uint64_t word = 0;
      const char* end = mask.data() + i + 16;
      auto r = std::from_chars(mask.data() + i, end, word, 16);
      if (r.ec != std::errc() || r.ptr != end) return invalid("a mask holds '{}', not hexadecimal", mask.substr(i, 16));
      p.mask_words.push_back(word);
    }
  }
  return f.finish();
}

Status read_linear(TomlDocument& doc, PlanParts& p) {
  TomlTable* t = doc.find("linear");
  if (!t) return {};
  Fields f(*t);
  LinearPart l;
  l.scope = f.choice<LinearScope>("scope", kScopes);
  l.feature = f.choice<FeatureMap>("feature", kFeatures);
  l.projection = f.boolean("projection");
  l.blend = f.choice<Blend>("blend", kBlends);
  if (l.blend == Blend::lerp) l.alpha = f.floats("alpha");
  if (l.scope == LinearScope::listed) {
    l.row_offsets = f.row_offsets();
    l.cols = f.indices("cols");
  }
  p.linear = std::move(l);
  return f.finish();
}

Result<PlanPtr> read(std::string_view text) {
  ZT_ASSIGN_OR_RETURN(TomlDocument doc, parse_toml(text, kMaxPlanText));
  Fields root(doc.root);
  if (!root.has("version")) return invalid("no version: not a plan file");
  ZT_ASSIGN_OR_RETURN(int64_t version, doc.root.integer("version", 0, kMaxIndex));
  if (version != kPlanTextVersion) return invalid("version {}, this program reads version {}", version, kPlanTextVersion);
  std::string expected = root.text("hash");
  PlanParts p;
  p.heads = int(root.integer("list_sets", 1, 4096));
  p.dense = root.boolean("dense");
  if (root.has("valid_until")) p.valid_until = root.integer("valid_until", 0, kForever - 1);
  p.head_set = root.optional_indices("head_set");
  if (root.has("k_bias")) p.k_bias = root.floats("k_bias");
  ZT_RETURN_IF_ERROR(root.finish());
  for (const TomlTable& t : doc.tables) {
    constexpr std::array<std::string_view, 7> known = {"q", "k", "lists", "masks", "q_order", "k_order", "linear"};
    if (std::find(known.begin(), known.end(), t.name()) == known.end()) return invalid("unknown table [{}]", t.name());
  }
  ZT_RETURN_IF_ERROR(read_blocks(doc, "q", p.q));
  ZT_RETURN_IF_ERROR(read_blocks(doc, "k", p.k));
  if (TomlTable* lists = doc.find("lists")) {
    Fields f(*lists);
    p.row_offsets = f.row_offsets();
    p.cols = f.indices("cols");
    ZT_RETURN_IF_ERROR(f.finish());
  }
  ZT_RETURN_IF_ERROR(read_masks(doc, p));
  ZT_RETURN_IF_ERROR(read_order(doc, "q_order", p.q_order));
  ZT_RETURN_IF_ERROR(read_order(doc, "k_order", p.k_order));
  ZT_RETURN_IF_ERROR(read_linear(doc, p));
  ZT_ASSIGN_OR_RETURN(PlanPtr plan, AttentionPlan::make(std::move(p)));
  std::string found = hex(plan->hash());
  if (found != expected) return invalid("hash is {}, the file says {}: changed or damaged", found, expected.substr(0, 64));
  return plan;
}

}  // namespace

std::string plan_to_text(const AttentionPlan& plan) {
  const PlanParts& p = plan.parts();
  Writer w;
  w.line("# Zoetrope attention plan: {} x {} tokens, density {:.4f}", plan.nq(), plan.nk(), plan.density());
  w.line("version = {}\nhash = \"{}\"\nlist_sets = {}\ndense = {}", kPlanTextVersion, hex(plan.hash()), p.heads, p.dense);
  if (p.valid_until != kForever) w.line("valid_until = {}", p.valid_until);
  if (!p.head_set.empty()) w.list("head_set", p.head_set);
  if (!p.k_bias.empty()) w.list("k_bias", p.k_bias);
  for (auto [name, blocks] : {std::pair{"q", &p.q}, std::pair{"k", &p.k}}) {
    w.line("\n[{}]\nblock = {}", name, blocks->block);
    w.list("valid", blocks->valid);
  }
  if (!p.dense) {
    w.line("\n[lists]");
    w.rows(p.row_offsets);
    w.list("cols", p.cols);
  }
  if (!p.mask_of.empty()) {
    w.line("\n[masks]");
    w.list("of", p.mask_of);
    std::string bits = "bits = [";
    for (int64_t m = 0; m < p.mask_count(); ++m) {
      bits += m > 0 ? ",\n  \"" : "\"";
      for (int64_t i = 0; i < p.mask_size(); ++i) fmt::format_to(std::back_inserter(bits), "{:016x}", plan.mask(int32_t(m))[i]);
      bits += '"';
    }
    w.line("{}]", bits);
  }
  w.order("q_order", p.q_order);
  w.order("k_order", p.k_order);
  if (p.linear) {
    const LinearPart& l = *p.linear;
    w.line("\n[linear]\nscope = \"{}\"\nfeature = \"{}\"\nprojection = {}\nblend = \"{}\"", kScopes[size_t(l.scope)],
           kFeatures[size_t(l.feature)], l.projection, kBlends[size_t(l.blend)]);
    if (l.blend == Blend::lerp) w.list("alpha", l.alpha);
    if (l.scope == LinearScope::listed) {
      w.rows(l.row_offsets);
      w.list("cols", l.cols);
    }
  }
  return w.take();
}

Result<PlanPtr> plan_from_text(std::string_view text) {
  Result<PlanPtr> r = read(text);
  if (!r.ok()) return r.status().in("plan file");
  return r;
}

}  // namespace zt
