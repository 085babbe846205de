// How long a render will take, roughly: its multiplications counted, and the speed of the transformer's own largest one measured
// here and now. For plans, not for promises.
#pragma once

#include "app/engine/job_check.h"
#include "model/pipeline/text_to_video.h"

namespace zt {

// Multiply-adds of sampling (all steps, both branches when guided) and of decoding, times two.
double sampling_flops(const TransformerConfig& c, const Shape& latent, int64_t text_rows, int64_t steps, bool guided, double density);
double decoding_flops(const VaeConfig& c, const Shape& latent);

class SpeedGauge {
 public:
  // Flops a second of a linear layer as the transformer has it; measured at the first call for each model.
  Result<double> measure(const std::string& root, const TransformerConfig& c, int64_t tokens, DType compute, const ExecContext& ctx);

 private:
  std::string root_;
  double flops_ = 0;
};

}  // namespace zt
