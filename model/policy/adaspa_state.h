// What AdaSpa remembers of each layer and branch, and its bytes in a checkpoint.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/core/tensor.h"
#include "model/dit/attend.h"

namespace zt {

struct AdaSpaSite {
  int64_t searches = 0;  // due ones that are done or were passed over
  PlanPtr plan;          // of the last search; null before the first
  std::vector<float> lse;  // log-sum-exps of the first search, [heads * queries]: on the host, where a checkpoint finds them
};
using AdaSpaSites = std::map<std::pair<int64_t, Branch>, AdaSpaSite>;

std::string save_sites(const AdaSpaSites& sites);  // empty for none
// `block` is the SPEC's. Hostile bytes are refused with one line.
Result<AdaSpaSites> read_sites(std::string_view bytes, int block);

}  // namespace zt
