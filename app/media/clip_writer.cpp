#include "app/media/clip_writer.h"

#include "app/media/output_file.h"

namespace zt {

ClipWriter::ClipWriter(const ClipSettings& settings) : settings_(settings) {}

Result<std::unique_ptr<ClipWriter>> ClipWriter::open(const ClipSettings& s) {
  using Target = ClipFormat::Target;
  if (s.format.target == Target::image && s.frames > 1) {
    return invalid("output: {} is one image and the clip has {} frames; use a pattern such as {}_%03d.png, or a folder", s.output,
                   s.frames, stem_of(s.output));
  }
  auto writer = std::unique_ptr<ClipWriter>(new ClipWriter(s));
  ZT_ASSIGN_OR_RETURN(writer->encoder_, s.format.target == Target::file ? open_container(s) : open_images(s));
  writer->thread_ = std::thread(&ClipWriter::work, writer.get());
  return writer;
}

ClipWriter::~ClipWriter() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    closing_ = abandoned_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status ClipWriter::push(std::vector<uint8_t> rgb) {
  ZT_CHECK(int64_t(rgb.size()) == settings_.width * settings_.height * 3);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.size() < kQueued || !status_.ok(); });
  if (!status_.ok()) return status_;
  queue_.push_back(std::move(rgb));
  lock.unlock();
  changed_.notify_all();
  return ok_status();
}

Status ClipWriter::finish() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  return status_;
}

Status ClipWriter::commit() {
  ZT_CHECK(!thread_.joinable() && status_.ok());
  return encoder_->commit();
}

int64_t ClipWriter::written() const {
  std::lock_guard lock(mutex_);
  return written_;
}

void ClipWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return !queue_.empty() || closing_; });
    if (abandoned_) return;
    bool last = queue_.empty();
    std::vector<uint8_t> frame;
    if (!last) frame = std::move(queue_.front());
    lock.unlock();
    Status s = last ? encoder_->finish() : encoder_->write(frame.data());
    lock.lock();
    // The frame leaves the queue only now: a full queue holds the frame at work too.
    if (!last) queue_.pop_front(), written_ += s.ok();
    if (!s.ok()) status_ = s;
    changed_.notify_all();
    if (last || !s.ok()) return;
  }
}

}  // namespace zt
