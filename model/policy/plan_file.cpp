#include "model/policy/plan_file.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "kernels/plan/plan_build.h"
#include "kernels/plan/plan_text.h"
#include "kernels/plan/toml.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxChoices = size_t(1) << 20;  // bytes of a file that only names methods
constexpr size_t kMaxEntries = 4096;

Result<std::string> read_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return invalid("--attn @{}: no such file", path.string());
  auto bytes = fs::file_size(path, error);
  if (error || bytes > kMaxPlanText)
    return invalid("--attn @{}: larger than {} MiB or unreadable", path.string(), kMaxPlanText >> 20);
  std::string text(size_t(bytes), '\0');
  std::ifstream f(path, std::ios::binary);
  if (!f.read(text.data(), std::streamsize(text.size()))) return invalid("--attn @{}: cannot be read", path.string());
  return text;
}

// Sorted list of inclusive ranges: "0-3, 7, 12-".
class Ranges {
 public:
  static Result<Ranges> parse(const std::string& text, std::string_view key) {
    Ranges out;
    std::string_view rest = text;
    auto number = [](std::string_view s, int64_t& v) {
      auto r = std::from_chars(s.data(), s.data() + s.size(), v);
      return r.ec == std::errc() && r.ptr == s.data() + s.size() && v >= 0;
    };
    auto trim = [](std::string_view s) {
      while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
      while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
      return s;
    };
    for (bool more = true; more;) {
      size_t comma = rest.find(',');
      std::string_view item = trim(rest.substr(0, comma));
      more = comma != rest.npos;
      rest = more ? rest.substr(comma + 1) : std::string_view();
      size_t dash = item.find('-');
      int64_t first = 0, last = kForever;
      bool ok = number(trim(item.substr(0, dash)), first);
      if (dash == item.npos) {
        last = first;
      } else if (std::string_view end = trim(item.substr(dash + 1)); !end.empty()) {
        ok = ok && number(end, last) && last >= first;
      }
      if (!ok) return invalid("'{}' is '{}', expected ranges such as \"0-3, 7, 12-\"", key, text.substr(0, 40));
      out.list_.emplace_back(first, last);
    }
    return out;
  }
  bool has(int64_t i) const {
    return list_.empty() || std::any_of(list_.begin(), list_.end(), [i](auto& r) { return i >= r.first && i <= r.second; });
  }

 private:
  std::vector<std::pair<int64_t, int64_t>> list_;  // empty = everything
};

// A plan as it stands in a file.
class FixedPlan final : public AttentionPolicy {
 public:
  explicit FixedPlan(PlanPtr plan) : plan_(std::move(plan)) {}
  std::string_view name() const override { return "plan file"; }
  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext&) override {
    int64_t nq = in.q ? in.q.dim(2) : in.site.grid.tokens(), nk = in.k ? in.k.dim(2) : in.site.grid.tokens();
    if (plan_->nq() != nq || plan_->nk() != nk) {
      return invalid("plan file: made for {} x {} tokens, this clip has {} x {}", plan_->nq(), plan_->nk(), nq, nk);
    }
    if (plan_->model_heads() != 0 && plan_->model_heads() != in.heads) {
      return invalid("plan file: made for {} heads, this model has {}", plan_->model_heads(), in.heads);
    }
    if (!in.past_warm_up && in.site.step > plan_->parts().valid_until) {
      return invalid("plan file: serves up to step {}, step {} was asked", plan_->parts().valid_until, in.site.step);
    }
    return plan_;
  }

  // The plan itself is there already.
  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    PolicyInput in;
    in.site.grid = job.grid, in.heads = job.heads;
    ZT_RETURN_IF_ERROR(plan(in, ctx).status());
    return extra_workspace(*plan_, job, ctx);
  }

 private:
  PlanPtr plan_;
};

struct Entry {
  Ranges layers, steps, heads;
  std::optional<Branch> branch;
  std::shared_ptr<AttentionPolicy> policy;
  bool covers(const Site& s, int64_t head) const {
    return layers.has(s.layer) && steps.has(s.step) && heads.has(head) && (!branch || *branch == s.branch);
  }
};

class Choices final : public AttentionPolicy {
 public:
  std::vector<Entry> entries;  // the first one covers everything
  std::string_view name() const override { return "plan file"; }
  PolicyNeeds needs() const override {
    PolicyNeeds n = PolicyNeeds::nothing;
    for (const Entry& e : entries) n = std::max(n, e.policy->needs());
    return n;
  }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    std::vector<PlanPtr> per_head(static_cast<size_t>(in.heads));
    std::map<const Entry*, PlanPtr> made;  // each method is asked once
    for (int64_t h = 0; h < in.heads; ++h) {
      auto last = std::find_if(entries.rbegin(), entries.rend(), [&](const Entry& e) { return e.covers(in.site, h); });
      PlanPtr& plan = made[&*last];
      if (!plan) {
        ZT_ASSIGN_OR_RETURN(plan, last->policy->plan(in, ctx));
      }
      per_head[size_t(h)] = plan;
    }
    for (const auto& [heads, merged] : merged_) {
      if (heads == per_head) return merged;
    }
    ZT_ASSIGN_OR_RETURN(PlanPtr merged, merge_heads(per_head));
    constexpr size_t kKept = 8;
    if (merged_.size() == kKept) merged_.erase(merged_.begin());
    merged_.emplace_back(std::move(per_head), merged);
    return merged;
  }

  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    size_t total = 0;
    for (Entry& e : entries) {
      auto own = e.policy->bytes(job, ctx);
      if (own.ok()) total += *own;  // an entry that cannot plan here may never be asked
    }
    return total;
  }

  // Length and bytes of each entry in turn; nothing when none remembers anything.
  std::string save() const override {
    std::string out;
    bool any = false;
    for (const Entry& e : entries) {
      std::string state = e.policy->save();
      any |= !state.empty();
      out += fmt::format("{}\n", state.size()) + state;
    }
    return any ? out : std::string();
  }

  Status restore(std::string_view state) override {
    std::vector<std::string_view> parts(entries.size());
    for (size_t i = 0; i < parts.size() && !state.empty(); ++i) {
      size_t line = state.find('\n'), size = 0;
      auto r = std::from_chars(state.data(), state.data() + std::min(line, state.size()), size);
      if (line == state.npos || r.ec != std::errc() || r.ptr != state.data() + line || size > state.size() - line - 1)
        return invalid("plan file: saved state of entry {} of {} is damaged", i, parts.size());
      parts[i] = state.substr(line + 1, size);
      state.remove_prefix(line + 1 + size);
      if (state.empty() && i + 1 < parts.size())
        return invalid("plan file: saved state of {} entries, {} expected", i + 1, parts.size());
    }
    if (!state.empty()) return invalid("plan file: saved state has bytes after its end");
    std::vector<std::string> undo;
    for (size_t i = 0; i < parts.size(); ++i) {
      std::string before = entries[i].policy->save();
      Status s = entries[i].policy->restore(parts[i]);
      if (s.ok()) {
        undo.push_back(std::move(before));
        continue;
      }
      // All or nothing.
      for (size_t j = 0; j < i; ++j) ZT_CHECK(entries[j].policy->restore(undo[j]).ok());
      return s;
    }
    return {};
  }

 private:
  std::vector<std::pair<std::vector<PlanPtr>, PlanPtr>> merged_;
};

// What a file holds: a plan, or choices and the texts of the plans they name.
struct Loaded {
  std::shared_ptr<AttentionPolicy> policy;
  std::vector<std::string> texts;
};

Result<std::shared_ptr<AttentionPolicy>> fixed(const std::string& text) {
  ZT_ASSIGN_OR_RETURN(PlanPtr plan, plan_from_text(text));
  return std::shared_ptr<AttentionPolicy>(std::make_shared<FixedPlan>(std::move(plan)));
}

Result<Entry> read_entry(TomlTable& t, const fs::path& folder, std::vector<std::string>& texts) {
  Entry e;
  for (auto [key, ranges] : {std::pair{"layers", &e.layers}, std::pair{"steps", &e.steps}, std::pair{"heads", &e.heads}}) {
    if (!t.has(key)) continue;
    ZT_ASSIGN_OR_RETURN(std::string text, t.text(key));
    ZT_ASSIGN_OR_RETURN(*ranges, Ranges::parse(text, key));
  }
  if (t.has("branch")) {
    ZT_ASSIGN_OR_RETURN(std::string branch, t.text("branch"));
    if (branch != "cond" && branch != "uncond")
      return invalid("'branch' is '{}', it must be cond | uncond", branch.substr(0, 40));
    e.branch = branch == "cond" ? Branch::cond : Branch::uncond;
  }
  if (t.has("attn") == t.has("file")) return invalid("expected either 'attn' or 'file'");
  if (t.has("attn")) {
    ZT_ASSIGN_OR_RETURN(std::string spec, t.text("attn"));
    if (spec.starts_with('@'))
      return invalid("'attn' is '{}': a plan file cannot name another; use 'file' for a plan", spec.substr(0, 40));
    ZT_ASSIGN_OR_RETURN(e.policy, make_policy(spec));
  } else {
    ZT_ASSIGN_OR_RETURN(std::string file, t.text("file"));
    fs::path name(file);
    if (name.empty() || name.has_parent_path() || name == ".." || name == ".") {
      return invalid("'file' is '{}', expected a file of the same folder", file.substr(0, 40));
    }
    ZT_ASSIGN_OR_RETURN(std::string text, read_file(folder / name));
    ZT_ASSIGN_OR_RETURN(e.policy, fixed(text));
    texts.push_back(std::move(text));
  }
  ZT_RETURN_IF_ERROR(t.finish());
  return e;
}

Result<Loaded> read_choices(std::string text, const fs::path& folder) {
  ZT_ASSIGN_OR_RETURN(TomlDocument doc, parse_toml(text, kMaxChoices));
  Loaded out;
  out.texts.push_back(std::move(text));
  if (!doc.root.has("version")) return invalid("no version: not a plan file");
  ZT_ASSIGN_OR_RETURN(int64_t version, doc.root.integer("version", 0, 1 << 30));
  if (version != 1) return invalid("version {}, this program reads version 1", version);
  std::string spec = "dense";
  if (doc.root.has("default")) {
    ZT_ASSIGN_OR_RETURN(spec, doc.root.text("default"));
    if (spec.starts_with('@')) return invalid("'default' is '{}': a plan file cannot name another", spec.substr(0, 40));
  }
  ZT_RETURN_IF_ERROR(doc.root.finish());
  auto choices = std::make_shared<Choices>();
  ZT_ASSIGN_OR_RETURN(auto fallback, make_policy(spec));
  choices->entries.emplace_back().policy = std::move(fallback);
  for (TomlTable& t : doc.tables) {
    if (t.name() != "plan") return invalid("line {}: unknown table [{}], expected [[plan]]", t.line(), t.name());
    if (choices->entries.size() > kMaxEntries) return invalid("more than {} entries", kMaxEntries);
    Result<Entry> e = read_entry(t, folder, out.texts);
    if (!e.ok()) return e.status().in(fmt::format("[[plan]] of line {}", t.line()));
    choices->entries.push_back(std::move(e).value());
  }
  out.policy = std::move(choices);
  return out;
}

// Only a plan as text has a hash and lists of its own; a choice may be written by hand. Either key tells, wherever it
// stands before the tables, so that a plan that lost one is refused as a plan.
bool is_plan_text(std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with('[')) return false;
    std::string_view key = line.substr(0, line.find_first_of(" \t="));
    if (key == "hash" || key == "list_sets") return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

Result<Loaded> load(const std::string& path) {
  ZT_ASSIGN_OR_RETURN(std::string text, read_file(path));
  if (!is_plan_text(text)) {
    Result<Loaded> r = read_choices(std::move(text), fs::path(path).parent_path());
    if (!r.ok()) return r.status().in("--attn @" + path);
    return r;
  }
  Loaded out;
  auto policy = fixed(text);
  if (!policy.ok()) return policy.status().in("--attn @" + path);
  out.policy = std::move(policy).value();
  out.texts.push_back(std::move(text));
  return out;
}

}  // namespace

Result<std::shared_ptr<AttentionPolicy>> policy_from_file(const std::string& path) {
  ZT_ASSIGN_OR_RETURN(Loaded loaded, load(path));
  return std::move(loaded.policy);
}

Result<std::vector<std::string>> plan_file_texts(const std::string& path) {
  ZT_ASSIGN_OR_RETURN(Loaded loaded, load(path));
  return std::move(loaded.texts);
}

}  // namespace zt
