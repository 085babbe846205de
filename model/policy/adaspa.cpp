// AdaSpa: exact attention until a search finds the blocks that hold the most of it, then those blocks until the next search.
#include <algorithm>
#include <numeric>

#include "kernels/api/transfer.h"
#include "model/policy/adaspa_state.h"
#include "model/policy/block_choice.h"
#include "model/policy/methods.h"

namespace zt {
namespace {

class AdaSpa final : public AttentionPolicy {
 public:
  struct Rule {
    double keep;
    int block;
    double first_search, search_every;  // fractions of the steps
    bool reuse_lse, adapt;
  };
  explicit AdaSpa(const Rule& rule) : rule_(rule) {}
  std::string_view name() const override { return "adaspa"; }
  PolicyNeeds needs() const override { return PolicyNeeds::block_mass; }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    ZT_ASSIGN_OR_RETURN(ClipInput clip, clip_input(in, name()));
    const Site& s = in.site;
    AdaSpaSite& site = sites_[{s.layer, s.branch}];
    if (site.plan && (site.plan->nq() != clip.nq() || site.plan->nk() != clip.nk() || site.plan->parts().heads != clip.heads()))
      site = {};  // of another clip
    // A step of the paper's search is itself exact; that would leave a single step, or a look at the method, without any blocks.
    bool at_once = in.past_warm_up || s.steps == 1;
    int64_t due = searches_due(s.step, s.steps);
    bool last = s.step + 1 >= s.steps;  // a search there would serve no step
    if ((due > site.searches && !last) || (at_once && !site.plan)) {
      ZT_RETURN_IF_ERROR(search(site, clip, s, due, ctx));
      if (!at_once) return dense_.of(clip.nq(), clip.nk());
    }
    return site.plan ? site.plan : dense_.of(clip.nq(), clip.nk());
  }

  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    int64_t blocks = Blocks::uniform(job.grid.tokens(), rule_.block).count();
    size_t site = lists_bytes(job, blocks, blocks, rule_.keep);
    if (rule_.reuse_lse) site += Arena::block_bytes(size_t(job.heads * job.grid.tokens()) * sizeof(float));
    return size_t(job.layers * job.branches) * site + mass_bytes(job, rule_.block, 1, ctx);
  }

  std::string save() const override { return save_sites(sites_); }
  Status restore(std::string_view state) override {
    AdaSpaSites sites;
    if (!state.empty()) {
      ZT_ASSIGN_OR_RETURN(sites, read_sites(state, rule_.block));
    }
    sites_ = std::move(sites);
    return {};
  }

 private:
  int64_t first_step(int64_t steps) const { return share_of_blocks(rule_.first_search, steps); }
  int64_t period(int64_t steps) const { return std::max(1, share_of_blocks(rule_.search_every, steps)); }
  // Searches at or before a step. Counting them lets the first step after a dense prefix make up for those inside it.
  int64_t searches_due(int64_t step, int64_t steps) const {
    return step < first_step(steps) ? 0 : (step - first_step(steps)) / period(steps) + 1;
  }

  Status search(AdaSpaSite& site, const ClipInput& clip, const Site& s, int64_t due, const ExecContext& ctx) {
    auto began = PlanClock::now();
    Tensor fresh, known;
    if (!site.lse.empty()) {
      const Shape rows{int64_t(site.lse.size())};
      ZT_ASSIGN_OR_RETURN(known, to_device(TensorView(site.lse.data(), DType::f32, rows), DType::f32, rows, ctx));
    } else if (rule_.reuse_lse) {
      ZT_ASSIGN_OR_RETURN(fresh, ctx.arena->make(DType::f32, {clip.heads() * clip.nq()}));
    }
    ZT_ASSIGN_OR_RETURN(Tensor mass, block_mass_of(clip, rule_.block, fresh, known, ctx));
    ZT_ASSIGN_OR_RETURN(std::vector<int32_t> counts, budgets(mass, ctx));
    ZT_ASSIGN_OR_RETURN(Tensor map, highest_blocks(mass, counts, ctx));
    PlanParts p;
    p.heads = int(clip.heads());
    p.q = Blocks::uniform(clip.nq(), rule_.block), p.k = Blocks::uniform(clip.nk(), rule_.block);
    int64_t next = first_step(s.steps) + due * period(s.steps);
    p.valid_until = (next < s.steps - 1 ? next : s.steps) - 1;
    ZT_ASSIGN_OR_RETURN(site.plan, plan_of_map(std::move(p), map, began, ctx));
    site.searches = std::max(site.searches, due);
    if (fresh) {
      ZT_ASSIGN_OR_RETURN(HostCopy lse, to_host(fresh, ctx));
      site.lse.assign(lse.view.as<float>(), lse.view.as<float>() + lse.view.count());
    }
    return {};
  }

  // Blocks a row of each head. Heads whose attention the common budget already catches (recall above 0.8) give up half of it to
  // as many heads where it catches least: in the paper's terms sparsity s becomes (1 + s) / 2 and (3 s - 1) / 2. Above keep = 2/3
  // the second would be negative; both then move by what is left below 1, so that the mean stays.
  Result<std::vector<int32_t>> budgets(const TensorView& mass, const ExecContext& ctx) const {
    int64_t heads = mass.dim(0), blocks = mass.dim(2);
    std::vector<int32_t> counts(size_t(heads), kept_count(rule_.keep, blocks));
    if (!rule_.adapt) return counts;
    ZT_ASSIGN_OR_RETURN(Tensor map, highest_blocks(mass, counts, ctx));
    std::vector<double> recall(static_cast<size_t>(heads)), total(recall);
    kept_mass({mass, map, recall, total}, ctx);
    for (size_t h = 0; h < recall.size(); ++h) recall[h] = total[h] > 0 ? recall[h] / total[h] : 0;
    std::vector<size_t> best(static_cast<size_t>(heads));
    std::iota(best.begin(), best.end(), size_t(0));
    std::stable_sort(best.begin(), best.end(), [&](size_t a, size_t b) { return recall[a] > recall[b]; });
    size_t caught = size_t(std::count_if(recall.begin(), recall.end(), [](double r) { return r > 0.8; }));
    double shift = std::min(rule_.keep / 2, 1 - rule_.keep);
    for (size_t i = 0; i < std::min(caught, best.size() / 2); ++i) {
      counts[best[i]] = kept_count(rule_.keep - shift, blocks);
      counts[best[best.size() - 1 - i]] = kept_count(rule_.keep + shift, blocks);
    }
    return counts;
  }

  Rule rule_;
  AdaSpaSites sites_;
  DensePlan dense_;
};

Result<std::shared_ptr<AttentionPolicy>> make(const Parameters& p) {
  AdaSpa::Rule rule;
  rule.keep = p.fraction("keep"), rule.block = block_value(p, "block");
  rule.first_search = p.fraction("first_search"), rule.search_every = p.fraction("search_every");
  rule.reuse_lse = p.choice("lse") == "reuse", rule.adapt = p.boolean("adapt");
  return std::shared_ptr<AttentionPolicy>(std::make_shared<AdaSpa>(rule));
}

}  // namespace

Method adaspa_method() {
  PolicyInfo info;
  info.name = "adaspa";
  info.summary = "exact at first; a few searches find the blocks that hold the most attention, the steps between reuse them";
  info.citation = "AdaSpa, arXiv 2502.21079";
  PolicyParameter first = fraction_parameter("first_search", "0.2", "when the first search is; the steps up to it are exact");
  PolicyParameter every = fraction_parameter("search_every", "0.4", "time between searches, at least one step");
  first.unit = every.unit = "fraction of the steps";
  first.citation = "steps 10 and 30 of 50";
  info.parameters = {
      keep_parameter("0.2", "fraction of key blocks that each query block reads, mean over heads"),
      block_parameter("block", "64", "side of a block"),
      first,
      every,
      choice_parameter("lse", {"reuse", "fresh"}, "reuse", "",
                       "reuse: later searches take the log-sum-exps of the first, as the paper does; fresh: their own"),
      boolean_parameter("adapt", "1", "heads that lose little at `keep` give half of it to those that lose most"),
  };
  return {info, make};
}

}  // namespace zt
