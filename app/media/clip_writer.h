// Writes a clip while it is being made: frames go through a short queue to an encoder thread of its own, so the decoder
// never waits for the codec and no more than a few frames are held.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "app/media/frame_encoder.h"

namespace zt {

class ClipWriter {
 public:
  // Everything that can be refused is refused here, before a frame exists.
  static Result<std::unique_ptr<ClipWriter>> open(const ClipSettings& settings);
  ~ClipWriter();  // without commit: nothing is left

  // A frame [height, width, 3]; waits while the queue is full. Returns what the encoder said about earlier frames.
  Status push(std::vector<uint8_t> rgb);
  // Waits for the encoder; all bytes are in the temporary file.
  Status finish();
  // Gives the clip its name. After finish.
  Status commit();
  // Frames the encoder has taken so far.
  int64_t written() const;

 private:
  explicit ClipWriter(const ClipSettings& settings);
  void work();

  static constexpr size_t kQueued = 4;
  ClipSettings settings_;
  std::unique_ptr<FrameEncoder> encoder_;  // used by the thread only, from its start to its join
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<uint8_t>> queue_;  // mutex_
  bool closing_ = false;                    // mutex_: no more frames will come
  bool abandoned_ = false;                  // mutex_: drop what is queued
  int64_t written_ = 0;                     // mutex_
  Status status_;                           // mutex_
  std::thread thread_;
};

}  // namespace zt
