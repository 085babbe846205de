// The parts of the check program. Each adds its results to a report and says whether all is well.
#pragma once

#include <nlohmann/json.hpp>

namespace zt::check {

// Every hardware word of the kernels against the tables of lane layouts.
bool check_words(nlohmann::json& report);
// Attention of random plans against the double-precision twin, on every kernel shape meant for this card.
bool check_plans(nlohmann::json& report, int plans);
// Dense and sparse times of the shapes that video models have; `all_shapes`: also of kernel shapes that are not shipped.
void time_attention(nlohmann::json& report, bool all_shapes);

}  // namespace zt::check
