// Sparse-linear attention: the best key blocks of each query block by softmax, and a linear part over the rest or over all.
#include "model/policy/block_choice.h"
#include "model/policy/methods.h"

namespace zt {
namespace {

class Sla final : public AttentionPolicy {
 public:
  struct Rule {
    double keep, drop;
    LinearScope scope;
    FeatureMap feature;
    int block_q, block_k;
  };
  explicit Sla(const Rule& rule) : rule_(rule) {}
  std::string_view name() const override { return "sla"; }
  PolicyNeeds needs() const override { return PolicyNeeds::qk; }

  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    PlanParts p;
    p.q = Blocks::uniform(job.grid.tokens(), rule_.block_q), p.k = Blocks::uniform(job.grid.tokens(), rule_.block_k);
    if (job.projection) p.linear = linear_part();
    int64_t q_blocks = p.q.count(), k_blocks = p.k.count();
    ZT_ASSIGN_OR_RETURN(size_t workspace, workspace_bytes_of(std::move(p), job, ctx));
    return workspace + pooled_bytes(job, q_blocks, k_blocks) + lists_bytes(job, q_blocks, k_blocks, rule_.keep);
  }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    auto began = PlanClock::now();
    ZT_ASSIGN_OR_RETURN(ClipInput clip, clip_input(in, name()));
    PlanParts p;
    p.heads = int(clip.heads());
    p.q = Blocks::uniform(clip.nq(), rule_.block_q), p.k = Blocks::uniform(clip.nk(), rule_.block_k);
    if (in.projection) {
      p.linear = linear_part();
    } else if (!warned_) {
      warned_ = true;
      if (ctx.warn)
        ctx.warn("sla: the model has no proj_l weights for its linear part, which is off; only the kept blocks are read");
    }
    // SLA ranks without softmax and without 1 / sqrt(d), neither of which moves a rank, and takes the mean key away first.
    ZT_ASSIGN_OR_RETURN(Tensor scores, pooled_scores(clip, p, {.center = true}, ctx));
    int32_t blocks = int32_t(p.k.count()), kept = kept_count(rule_.keep, blocks);
    ZT_ASSIGN_OR_RETURN(Tensor map, ctx.arena->zeros(DType::u8, scores.shape()));
    auto mark = [&](SelectRule rule, int32_t count, uint8_t value) {
      select_blocks({scores, rule, {&count, 1}, 1, value, map}, ctx);
    };
    if (p.linear && rule_.scope == LinearScope::listed) {
      mark(SelectRule::highest, blocks, 2);
      mark(SelectRule::lowest, std::min(share_of_blocks(rule_.drop, blocks), blocks - kept), 0);
    }
    mark(SelectRule::highest, kept, 1);
    return plan_of_map(std::move(p), map, began, ctx);
  }

 private:
  LinearPart linear_part() const {
    LinearPart part;
    part.scope = rule_.scope, part.feature = rule_.feature, part.projection = true;
    return part;
  }
  Rule rule_;
  bool warned_ = false;  // once a job
};

Result<std::shared_ptr<AttentionPolicy>> make(const Parameters& p) {
  const std::string &scope = p.choice("scope"), &feature = p.choice("feature");
  Sla::Rule rule;
  rule.keep = p.fraction("keep"), rule.drop = p.fraction("drop");
  rule.scope = scope == "global" ? LinearScope::global : scope == "complement" ? LinearScope::complement : LinearScope::listed;
  rule.feature = feature == "softmax" ? FeatureMap::softmax : feature == "elu" ? FeatureMap::elu : FeatureMap::relu;
  rule.block_q = block_value(p, "block_q"), rule.block_k = block_value(p, "block_k");
  return std::shared_ptr<AttentionPolicy>(std::make_shared<Sla>(rule));
}

}  // namespace

Method sla_method() {
  PolicyInfo info;
  info.name = "sla";
  info.summary = "the best blocks by softmax, the others through a linear part that the model was trained with";
  info.citation = "SLA, arXiv 2509.24006; thu-ml/SLA; TurboDiffusion";
  info.needs_trained_weights = true;
  PolicyParameter keep = keep_parameter("0.1", "fraction of key blocks that each query block reads by softmax");
  keep.other_name = "topk";
  keep.citation = "the paper trains 0.05, TurboDiffusion's checkpoints 0.1";
  PolicyParameter scope = choice_parameter("scope", {"global", "complement", "three_class"}, "global", "",
                                           "what the linear part reads: every key (TurboDiffusion), the blocks left out (first "
                                           "release), or those without the lowest (paper)");
  info.parameters = {
      keep,
      scope,
      fraction_parameter("drop", "0.1", "scope=three_class: fraction of key blocks, the lowest, that neither part reads"),
      choice_parameter("feature", {"softmax", "elu", "relu"}, "softmax", "", "feature map of the linear part"),
      block_parameter("block_q", "128", "queries of a block"),
      block_parameter("block_k", "64", "keys of a block"),
  };
  return {info, make};
}

}  // namespace zt
