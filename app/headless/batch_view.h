// What a batch shows: a record a job on standard output for programs, a dashboard or lines for people on standard error.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/engine/batch.h"
#include "app/headless/job_options.h"

namespace zt {

class BatchView {
 public:
  // results: file that receives each record as a line, appended at once; empty = none.
  BatchView(const JobOptions& options, const std::string& results, std::span<const BatchItem> items);
  ~BatchView();
  BatchView(const BatchView&) = delete;
  BatchView& operator=(const BatchView&) = delete;
  bool ok() const { return !wants_file_ || file_ >= 0; }

  void begin(const BatchItem& item);
  void progress(const BatchItem& item, const Progress& p);
  void note(const BatchItem& item, const std::string& line);
  void result(const BatchItem& item);           // of this run
  void found(const BatchItem& item);            // done before, or by another worker
  void waiting();                               // for other workers
  void say(const std::string& line);
  // The last record: counts of the batch.
  void summary(bool interrupted);

 private:
  void record(const nlohmann::ordered_json& json);
  void draw(const std::string& now);
  void clear();
  size_t count(bool done) const;

  const JobOptions& options_;
  std::span<const BatchItem> items_;
  bool wants_file_, jsonl_, records_, plain_, terminal_, drawn_ = false, waits_ = false;
  int file_ = -1;
  size_t found_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace zt
