// Watches a denoising: a value that is not finite, or a tensor whose elements are all the same, ends the job at its step.
#pragma once

#include <string>

#include "model/dit/attend.h"

namespace zt {

// Index of the first element of a dense f32 tensor that is NaN or infinite, or -1.
int64_t first_not_finite(const TensorView& v);

// What is wrong with a tensor that a healthy network makes, or empty: "is not finite (element 3)", "has collapsed (all
// elements near 0)".
std::string ill(const TensorView& v);

// A hook that watches q, k, v and the output of every attention of a pass and remembers where the first value that is not
// finite stood. It reads all of them, so it is used for a second pass over a step that went wrong.
class FirstBadLayer final : public AttentionHook {
 public:
  void before(const Site& site, TensorView& q, TensorView& k, TensorView& v, const ExecContext& ctx) override;
  Status after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord& record,
               const ExecContext& ctx) override;
  // "layer 3, input of the self-attention"; says so when every attention was healthy.
  std::string place() const;

 private:
  void look(const Site& site, const TensorView& v, std::string_view what, const ExecContext& ctx);
  std::string place_;
};

}  // namespace zt
