#include "app/engine/clip_output.h"

#include <algorithm>
#include <cmath>

#include "app/session/job_text.h"

namespace zt {
namespace {

// (x + 1) / 2 in [0, 1], times 255, to nearest even: the bytes diffusers and PIL make.
bool to_bytes(const TensorView& frame, std::vector<uint8_t>& rgb) {
  const float* p = frame.as<float>();
  rgb.resize(size_t(frame.count()));
  bool finite = true;
  for (size_t i = 0; i < rgb.size(); ++i) {
    finite &= std::isfinite(p[i]);
    float unit = std::clamp(p[i] * 0.5f + 0.5f, 0.f, 1.f);
    rgb[i] = uint8_t(std::nearbyintf(unit * 255.f));
  }
  return finite;
}

}  // namespace

Result<std::unique_ptr<ClipOutput>> ClipOutput::open(const PreparedJob& job) {
  const JobSpec& s = job.spec;
  auto out = std::unique_ptr<ClipOutput>(new ClipOutput());
  out->job_ = job, out->job_.attention.reset();  // what a method keeps must not outlive the sampling
  remove_stale(folder_of(s.output));
  nlohmann::ordered_json settings = settings_document(s, job.origin);
  ClipSettings clip;
  clip.output = s.output, clip.replace = job.replace, clip.format = job.format;
  clip.width = s.size.width, clip.height = s.size.height, clip.frames = s.frames, clip.fps = s.fps;
  clip.faults = job.faults;
  if (!s.no_metadata) clip.comment = settings.dump();
  ZT_ASSIGN_OR_RETURN(out->clip_, ClipWriter::open(clip));
  if (!job.side_file.empty()) {
    ZT_ASSIGN_OR_RETURN(PendingFile side, PendingFile::create(job.side_file, job.replace_side, false, job.faults));
    ZT_RETURN_IF_ERROR(write_text(side, settings.dump(2) + "\n"));
    out->side_ = std::move(side);
  }
  if (!s.save_frames.empty()) {
    ZT_ASSIGN_OR_RETURN(out->raw_, TensorFile::open(s.save_frames, job.replace, "frames", DType::u8,
                                                    {s.frames, s.size.height, s.size.width, 3}, clip.comment, job.faults));
  }
  return out;
}

Status ClipOutput::push(const TensorView& frame) {
  const JobSpec& s = job_.spec;
  ZT_CHECK(frame.shape == (Shape{s.size.height, s.size.width, 3}) && frame.dense() && pushed_ < s.frames);
  std::vector<uint8_t> rgb;
  if (!to_bytes(frame, rgb)) return failed("frame {} of {}: the decoder made values that are not finite", pushed_ + 1, s.frames);
  ++pushed_;
  if (raw_) ZT_RETURN_IF_ERROR(raw_->write(rgb.data(), rgb.size()));
  return clip_->push(std::move(rgb));
}

Status ClipOutput::commit(std::vector<std::string>& files) {
  ZT_CHECK(pushed_ == job_.spec.frames);
  ZT_RETURN_IF_ERROR(clip_->finish());
  if (raw_) {
    ZT_RETURN_IF_ERROR(raw_->commit());
    files.push_back(job_.spec.save_frames);
  }
  if (side_) {
    ZT_RETURN_IF_ERROR(side_->commit());
    files.push_back(job_.side_file);
  }
  ZT_RETURN_IF_ERROR(clip_->commit());
  files.push_back(job_.spec.output);
  return ok_status();
}

size_t clip_output_bytes(const JobSpec& s) {
  // RGB frames between decoder and encoder.
  constexpr int64_t kQueued = 6;
  size_t bytes = size_t(s.size.width * s.size.height * 3 * kQueued);
  // What x264's medium preset allocates, counted: 43 source frames with half-size copies and motion data, 5 references with
  // interpolated planes, all with wide margins. The others of its kind stay near it.
  auto framed = [&](double margin, double a_pixel) {
    return size_t(a_pixel * (double(s.size.width) + margin) * (double(s.size.height) + margin));
  };
  constexpr int64_t kLookAhead = 43;
  constexpr size_t kReferences = 5, kContextModels = size_t(12) << 20;
  if (s.codec == "ffv1") return bytes + kContextModels;  // of its slices, whatever the size
  if (s.codec == "png" || s.codec == "gif") return bytes;
  return bytes + size_t(std::min(s.frames, kLookAhead)) * framed(124, 2.9) + kReferences * framed(88, 5.1);
}

}  // namespace zt
