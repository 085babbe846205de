// What attention did in a render: figures of a stretch of calls, the promise of --min-recall, the file of --report.
#pragma once

#include <optional>
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

// What a report has of the steps done so far.
struct ReportLog {
  std::vector<AttentionRecord> records;
  std::vector<double> step_s;  // seconds of each step
  double measuring_s = 0;      // of them, spent measuring
};
// As bytes for a checkpoint: numbers of the first `steps` steps. None when some of them are missing.
std::string pack(const ReportLog& log, int64_t steps);
// Nothing when the bytes are not of such a log of `steps` steps.
std::optional<ReportLog> unpack_report(std::string_view bytes, int64_t steps);

// One line an entry, so that a file of many entries can be read and searched by line.
std::string report_json(const PreparedJob& job, const std::string& version, const ReportLog& log, const JobResult& result);

}  // namespace zt
