// Answers a window's questions beside jobs on one thread of its own, so that neither the window nor a running job waits
// for files. post and poll may come from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "app/engine/job_check.h"
#include "app/engine/machine.h"
#include "app/session/desk.h"

namespace zt {

// Whole or not at all; folders are made as needed, an existing file is replaced.
Status write_text_file(const std::string& path, std::string_view text);

class Desk {
 public:
  // wakeup: called after an answer was queued, without a lock held. It must not call back.
  Desk(std::unique_ptr<Machine> machine, JobPlaces places, std::function<void()> wakeup = {});
  ~Desk();  // finishes the answer in work, drops the rest
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  // Thumbnails wait for everything else. A text is written before this returns: the job posted next may read it. An estimate
  // replaces one that waits.
  void post(DeskRequest request);
  std::optional<DeskAnswer> poll();

 private:
  void work();
  void publish(DeskAnswer answer);

  std::unique_ptr<Machine> machine_;  // used by the thread only
  const JobPlaces places_;
  std::function<void()> wakeup_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<DeskRequest> requests_;  // mutex_
  std::deque<DeskAnswer> answers_;    // mutex_
  bool stopping_ = false;             // mutex_
  std::thread thread_;
};

}  // namespace zt
