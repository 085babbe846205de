#include <algorithm>
#include <map>
#include <numeric>

#include "kernels/plan/plan_build.h"

namespace zt {
namespace {

// Collects list sets and orders of several plans under new numbers; each (plan, set) is stored once.
class Merger {
 public:
  explicit Merger(const AttentionPlan& shape) {
    out_.q = shape.parts().q, out_.k = shape.parts().k;
    out_.row_offsets = {0};
    out_.heads = 0;
  }

  void add(const AttentionPlan& plan, int64_t head) {
    out_.head_set.push_back(lists(plan, plan.is_dense() ? 0 : plan.set_of(head)));
    add_order(plan, plan.parts().q_order, plan.parts().q_order.set_of(head), plan.nq(), out_.q_order, q_sets_);
    add_order(plan, plan.parts().k_order, plan.parts().k_order.set_of(head), plan.nk(), out_.k_order, k_sets_);
    out_.valid_until = std::min(out_.valid_until, plan.parts().valid_until);
  }

  Result<PlanPtr> finish(double planning_seconds) {
    out_.planning_seconds = planning_seconds;
    if (std::all_of(out_.mask_of.begin(), out_.mask_of.end(), [](int32_t m) { return m < 0; })) {
      out_.mask_of.clear(), out_.mask_words.clear();
    }
    for (TokenOrder* o : {&out_.q_order, &out_.k_order}) {
      if (o->sets == 0) o->head_set.clear();
    }
    return AttentionPlan::make(std::move(out_));
  }

 private:
  using Key = std::pair<const AttentionPlan*, int64_t>;

  int32_t lists(const AttentionPlan& plan, int64_t set) {
    auto [it, fresh] = list_sets_.try_emplace(Key{&plan, set}, int32_t(out_.heads));
    if (!fresh) return it->second;
    ++out_.heads;
    auto [mask, first_use] = mask_bases_.try_emplace(&plan, int32_t(out_.mask_count()));
    if (first_use) {
      const auto& words = plan.parts().mask_words;
      out_.mask_words.insert(out_.mask_words.end(), words.begin(), words.end());
    }
    for (int64_t r = 0; r < out_.q.count(); ++r) {
      if (plan.is_dense()) {
        out_.cols.resize(out_.cols.size() + out_.k.valid.size());
        std::iota(out_.cols.end() - out_.k.count(), out_.cols.end(), 0);
      } else {
        AttentionPlan::Row row = plan.row(set, r);
        out_.cols.insert(out_.cols.end(), row.cols.begin(), row.cols.end());
        for (int32_t m : row.masks) out_.mask_of.push_back(m < 0 ? -1 : mask->second + m);
      }
      out_.mask_of.resize(out_.cols.size(), -1);
      out_.row_offsets.push_back(int64_t(out_.cols.size()));
    }
    return it->second;
  }

  void add_order(const AttentionPlan& plan, const TokenOrder& in, int set, int64_t tokens, TokenOrder& out,
                 std::map<Key, int32_t>& known) {
    if (set < 0) {
      out.head_set.push_back(-1);
      return;
    }
    auto [it, fresh] = known.try_emplace(Key{&plan, set}, int32_t(out.sets));
    if (fresh) {
      ++out.sets;
      out.order.insert(out.order.end(), in.order.begin() + set * tokens, in.order.begin() + (set + 1) * tokens);
    }
    out.head_set.push_back(it->second);
  }

  PlanParts out_;
  std::map<Key, int32_t> list_sets_, q_sets_, k_sets_;
  std::map<const AttentionPlan*, int32_t> mask_bases_;
};

std::string blocks_text(const AttentionPlan& p) {
  return fmt::format("{} blocks of {} by {} blocks of {}", p.parts().q.count(), p.parts().q.block, p.parts().k.count(),
                     p.parts().k.block);
}

}  // namespace

Result<PlanPtr> merge_heads(std::span<const PlanPtr> per_head) {
  if (per_head.empty()) return invalid("plan: no heads to merge");
  const PlanPtr& first = per_head.front();
  if (std::all_of(per_head.begin(), per_head.end(), [&](const PlanPtr& p) { return p == first; })) return first;
  const AttentionPlan* shape = first.get();
  for (const PlanPtr& p : per_head) {
    if (!p->is_dense()) shape = p.get();
  }
  double seconds = 0;
  std::vector<const AttentionPlan*> counted;
  for (size_t h = 0; h < per_head.size(); ++h) {
    const AttentionPlan& p = *per_head[h];
    if (p.nq() != shape->nq() || p.nk() != shape->nk()) {
      return invalid("plan: head {} has {} x {} tokens, others have {} x {}", h, p.nq(), p.nk(), shape->nq(), shape->nk());
    }
    if (!p.is_dense() && !(p.parts().q == shape->parts().q && p.parts().k == shape->parts().k)) {
      return invalid("plan: head {} has {}, others have {}; heads of one layer need equal blocks", h, blocks_text(p),
                     blocks_text(*shape));
    }
    if (p.has_linear() || !p.parts().k_bias.empty()) {
      return invalid("plan: head {} has a linear part or key biases, which heads of one layer can only have together", h);
    }
    if (p.model_heads() > 0 && int64_t(h) >= p.model_heads())
      return invalid("plan: head {} of a plan for {} heads", h, p.model_heads());
    if (std::find(counted.begin(), counted.end(), &p) == counted.end()) {
      counted.push_back(&p);
      seconds += p.stats().planning_seconds;
    }
  }
  Merger merger(*shape);
  for (size_t h = 0; h < per_head.size(); ++h) merger.add(*per_head[h], int64_t(h));
  return merger.finish(seconds);
}

}  // namespace zt
