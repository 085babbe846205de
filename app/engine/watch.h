// What a job shows to whoever watches it: a coarse picture of the clip to come and the attention of each step.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "app/engine/latent_colours.h"
#include "app/session/events.h"
#include "model/pipeline/text_to_video.h"

namespace zt {

// One step's records as a table, means over its branches; the heads of a call share its time in equal parts.
AttentionTable attention_table(std::span<const AttentionRecord> records, const StepInfo& info, const TransformerConfig& model,
                               bool measured);

// The plan of each layer as a map of kept blocks, sent when it differs from the one before. Dense plans have nothing to show;
// beyond kMostBlocks nothing would be seen. Of the measured head, whatever its plan, also the true attention of each step.
class PlanWatch final : public AttentionHook {
 public:
  static constexpr int64_t kMostBlocks = 256;
  PlanWatch(std::function<void(AttentionMap)> send, std::function<MeasuredHead()> measured)
      : send_(std::move(send)), measured_(std::move(measured)) {}
  Status after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord& record,
               const ExecContext& ctx) override;

 private:
  void send_plan(const Site& site, const AttentionPlan& plan, int64_t heads);

  std::function<void(AttentionMap)> send_;
  std::function<MeasuredHead()> measured_;
  std::map<std::pair<int64_t, int64_t>, std::vector<float>> sent_;  // by layer and head
};

// The estimate of the end as RGB. A model whose parts all stay loaded decodes one frame; larger ones show each latent frame
// through a linear map of its channels to colours, fitted once a model. Previews take at most a tenth of the time, and one
// that cannot be made costs only itself, never the job.
class PreviewMaker {
 public:
  // Before the transformer is loaded: fits the map if this model needs one.
  void prepare(TextToVideo& pipeline, const ExecContext& ctx);
  // Null when it is too early for another one.
  Clip make(TextToVideo& pipeline, const StepInfo& info, double fps, const ExecContext& ctx);

 private:
  Clip decode(TextToVideo& pipeline, const StepInfo& info, const ExecContext& ctx) const;
  std::string fitted_;  // root of the model that colours_ belongs to
  std::optional<LatentColours> colours_;
  double spent_s_ = 0, job_s_ = 0;  // on previews, on steps
};

}  // namespace zt
