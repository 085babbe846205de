// Plans as text, and the plan files that name them.
#include "kernels/plan/plan_build.h"
#include "kernels/plan/plan_text.h"
#include "model/policy/plan_file.h"
#include "tests/fuzz/fuzz.h"

namespace zt::fuzz {

std::vector<std::string> seeds() {
  return {"p" + plan_to_text(*AttentionPlan::dense(8, 8)), "p" + plan_to_text(*AttentionPlan::dense(130, 70)),
          "fversion = 1\ndefault = \"dense\"\n[[plan]]\nlayers = \"0-3, 7\"\nsteps = \"10-\"\nbranch = \"cond\"\nattn = \"radial:decay=0.2,block=64\"\n"};
}

void one(std::string_view input) {
  static const Scratch scratch;
  if (input.empty()) return;
  if (input[0] == 'f') {
    auto policy = policy_from_file(scratch.write("plans.toml", input.substr(1)));
    return require(policy.ok() || policy.status().message().find('\n') == std::string::npos);
  }
  auto plan = plan_from_text(input.substr(1));
  if (!plan.ok()) return require(plan.status().message().find('\n') == std::string::npos);
  auto again = plan_from_text(plan_to_text(**plan));
  require(again.ok() && (*again)->hash() == (*plan)->hash());
}

}  // namespace zt::fuzz
