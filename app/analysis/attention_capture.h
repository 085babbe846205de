// Looks at attention while a clip is made: for chosen steps, layers and heads the true mass of every pair of blocks, what
// the plan kept of it, and how it falls off with distance. The clip has the same bits with it and without.
#pragma once

#include <functional>
#include <set>
#include <vector>

#include "app/analysis/decay.h"
#include "model/dit/attend.h"

namespace zt {

struct CaptureChoice {
  std::set<int64_t> steps, layers, heads;  // empty = all
  bool uncond = false;                     // the unconditional branch, too
  bool wants(const Site& site) const;
};

struct CapturedHead {
  int64_t step = 0, layer = 0, head = 0;
  Branch branch = Branch::cond;
  Grid grid;
  int64_t block = 0, blocks = 0;  // tokens a block, blocks a side; no block holds tokens of two frames
  std::vector<float> mass;        // [blocks, blocks] share of a query block's attention; rows sum to 1
  std::vector<float> kept;        // [blocks, blocks] kept fraction of the pairs, from a few rows of each block
  double density = 1, recall = 1, recall_worst = 1;
  double seconds = 0;  // of the call, all heads
  Decay decay;
};

// Mass and kept fractions of one head, without its recall and decay.
Result<CapturedHead> capture_map(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, int64_t head,
                                 const ExecContext& ctx);

class AttentionCapture final : public AttentionHook {
 public:
  using Sink = std::function<Status(const CapturedHead&)>;
  AttentionCapture(CaptureChoice choice, Sink sink) : choice_(std::move(choice)), sink_(std::move(sink)) {}

  bool wants_lse(const Site& site, const AttentionPlan& plan) const override;
  Status after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord& record,
               const ExecContext& ctx) override;
  size_t bytes(const PolicyJob& job, const ExecContext& ctx) const override;
  double seconds() const { return seconds_; }  // spent looking; what the sink takes does not count

  // Tokens a block: the largest part of a frame that gives a map of about 100 blocks a side or more.
  static int64_t block_size(const Grid& grid);

 private:
  CaptureChoice choice_;
  Sink sink_;
  double seconds_ = 0;
};

}  // namespace zt
