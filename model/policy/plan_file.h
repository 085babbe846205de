// --attn @FILE: which method plans which layers, steps, heads and branch; or one plan for all of them.
//
//   version = 1
//   default = "dense"                  # where no entry says otherwise; dense when absent
//   [[plan]]                           # a later entry wins over an earlier one
//   layers = "0-3, 7"                  # absent = all; "12-" = from 12 on
//   steps = "10-"
//   heads = "0-5"                      # heads of one layer need methods with equal blocks
//   branch = "cond"                    # cond | uncond
//   attn = "radial:decay=0.2,block=64" # a SPEC; or file = "window.toml", a plan as text in the same folder
//
// A FILE that is itself a plan as text (kernels/plan/plan_text.h) is used as it is, for every site.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/dit/attend.h"

namespace zt {

Result<std::shared_ptr<AttentionPolicy>> policy_from_file(const std::string& path);

// The bytes a plan file stands for: its own, then those of the plans it names, in their order.
Result<std::vector<std::string>> plan_file_texts(const std::string& path);

}  // namespace zt
