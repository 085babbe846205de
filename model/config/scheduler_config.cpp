#include "model/config/config.h"
#include "model/config/config_reader.h"

namespace zt {

Result<SchedulerConfig> read_scheduler_config(const std::string& file) {
  ZT_ASSIGN_OR_RETURN(ConfigReader r, ConfigReader::open(file));
  SchedulerConfig c;
  c.class_name = r.one_of("_class_name", c.class_name,
                          {"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler",
                           "FlowMatchLCMScheduler", "LCMScheduler"});
  c.train_timesteps = r.integer("num_train_timesteps", 1000, 1, 1'000'000);
  // The flow-matching classes call it shift, the multistep ones flow_shift; both default to 1.
  bool flow_match = c.class_name.rfind("FlowMatch", 0) == 0 || (c.class_name == "LCMScheduler" && !r.has("flow_shift"));
  c.flow_shift = r.real(flow_match ? "shift" : "flow_shift", 1.0, 1e-3, 1e3);
  bool multistep = c.class_name.find("Multistep") != std::string::npos;
  if (multistep) {
    r.one_of("prediction_type", "epsilon", {"flow_prediction"});
    if (!r.boolean("use_flow_sigmas", false)) r.refuse("use_flow_sigmas", "is not true: only flow matching is supported");
    if (r.integer("solver_order", 2, 1, 100) != 2) r.refuse("solver_order", "is not 2");
    r.one_of("final_sigmas_type", "zero", {"zero"});
    if (!r.boolean("lower_order_final", true)) r.refuse("lower_order_final", "is not true");
  }
  if (c.class_name == "UniPCMultistepScheduler") {
    r.one_of("solver_type", "bh2", {"bh2"});
    if (!r.boolean("predict_x0", true)) r.refuse("predict_x0", "is not true");
    r.must_be_unset("disable_corrector", "a predictor without corrector is not supported");
  }
  if (c.class_name == "DPMSolverMultistepScheduler") {
    r.one_of("algorithm_type", "dpmsolver++", {"dpmsolver++"});
    r.one_of("solver_type", "midpoint", {"midpoint"});
    r.must_be_unset("euler_at_final", "not supported");
    r.must_be_unset("use_lu_lambdas", "other noise schedules are not supported");
  }
  for (const char* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}) {
    r.must_be_unset(key, "other noise schedules are not supported");
  }
  r.must_be_unset("use_dynamic_shifting", "a shift by resolution is not supported");
  r.must_be_unset("shift_terminal", "not supported");
  r.must_be_unset("invert_sigmas", "not supported");
  r.must_be_unset("stochastic_sampling", "not supported");
  r.must_be_unset("thresholding", "not supported");
  r.must_be_unset("scale_factors", "not supported");
  if (!r.status().ok()) return r.status();
  return c;
}

}  // namespace zt
