// What attention did in a render: figures of a stretch of calls, the promise of --min-recall, the file of --report.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/engine/job_check.h"
#include "model/dit/attend.h"

namespace zt {

// Means over heads of all calls, each with the same weight.
struct AttentionFigures {
  double density = 1, recall = 1, recall_worst = 1;
  double attention_s = 0, planning_s = 0;
};
AttentionFigures figures_of(std::span<const AttentionRecord> records);

// The records of one step against --min-recall: kFailed names the head that keeps least and says what to do.
Status check_recall(std::span<const AttentionRecord> step, double least, int64_t steps);

// One line an entry, so that a file of many entries can be read and searched by line. step_s: seconds of each step, of
// which measuring_s went into measuring.
std::string report_json(const PreparedJob& job, const std::string& version, std::span<const AttentionRecord> records,
                        std::span<const double> step_s, double measuring_s, const JobResult& result);

}  // namespace zt
