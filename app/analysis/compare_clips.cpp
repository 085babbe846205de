#include "app/analysis/compare_clips.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "app/analysis/frame_metrics.h"
#include "app/media/clip_writer.h"
#include "app/media/isolated_reader.h"
#include "app/session/job_spec.h"
#include "model/io/safetensors.h"

namespace zt {
namespace {

class ClipSource final : public FrameSource {
 public:
  explicit ClipSource(std::unique_ptr<ClipReader> reader) : reader_(std::move(reader)) {
    width_ = reader_->info().width, height_ = reader_->info().height, fps_ = reader_->info().fps;
  }
  Result<bool> next(uint8_t* rgb) override { return reader_->next(rgb); }

 private:
  std::unique_ptr<ClipReader> reader_;
};

class TensorSource final : public FrameSource {
 public:
  TensorSource(SafetensorsFile file, const TensorView& frames) : file_(std::move(file)), frames_(frames) {
    height_ = frames.dim(1), width_ = frames.dim(2);
  }
  Result<bool> next(uint8_t* rgb) override {
    if (at_ == frames_.dim(0)) return false;
    size_t bytes = size_t(height_ * width_ * 3);
    std::memcpy(rgb, static_cast<const uint8_t*>(frames_.data) + size_t(at_++) * bytes, bytes);
    return true;
  }

 private:
  SafetensorsFile file_;
  TensorView frames_;
  int64_t at_ = 0;
};

// Three picture clips of the same length; those that are not wanted cost nothing.
class Pictures {
 public:
  Pictures(const ComparePictures& p, int64_t width, int64_t height, double fps)
      : amplify_(p.amplify), width_(width), height_(height), fps_(fps), replace_(p.replace) {}

  Status open(const ComparePictures& p) {
    ZT_RETURN_IF_ERROR(add(p.side_by_side, 2 * width_, [this](auto a, auto b, double, uint8_t* to) { beside(a, b, to); }));
    ZT_RETURN_IF_ERROR(add(p.wipe, width_, [this](auto a, auto b, double t, uint8_t* to) { wipe(a, b, t, to); }));
    return add(p.difference, width_, [this](auto a, auto b, double, uint8_t* to) { difference(a, b, to); });
  }
  bool any() const { return !clips_.empty(); }

  // seconds: place of the frame in the clip.
  Status push(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b, int64_t frame) {
    for (Clip& c : clips_) {
      std::vector<uint8_t> rgb(size_t(c.width * height_ * 3));
      c.draw(a.data(), b.data(), double(frame) / fps_, rgb.data());
      ZT_RETURN_IF_ERROR(c.writer->push(std::move(rgb)));
    }
    return {};
  }
  Status commit() {
    for (Clip& c : clips_) ZT_RETURN_IF_ERROR(c.writer->finish());
    for (Clip& c : clips_) ZT_RETURN_IF_ERROR(c.writer->commit());
    return {};
  }

 private:
  using Draw = std::function<void(const uint8_t* a, const uint8_t* b, double seconds, uint8_t* to)>;
  struct Clip {
    int64_t width;
    Draw draw;
    std::unique_ptr<ClipWriter> writer;
  };

  Status add(const std::string& path, int64_t width, Draw draw) {
    if (path.empty()) return {};
    ClipSettings s;
    s.output = path, s.replace = replace_, s.width = width, s.height = height_, s.fps = fps_;
    ZT_ASSIGN_OR_RETURN(s.format, choose_clip_format(path, "auto", -1, "auto"));
    ZT_ASSIGN_OR_RETURN(auto writer, ClipWriter::open(s));
    clips_.push_back({width, std::move(draw), std::move(writer)});
    return {};
  }

  void beside(const uint8_t* a, const uint8_t* b, uint8_t* to) const {
    size_t row = size_t(width_) * 3;
    for (int64_t y = 0; y < height_; ++y, a += row, b += row, to += 2 * row) {
      std::memcpy(to, a, row);
      std::memcpy(to + row, b, row);
    }
  }

  // A line that swings over the picture in four seconds: A on its left, B on its right.
  void wipe(const uint8_t* a, const uint8_t* b, double seconds, uint8_t* to) const {
    constexpr double kPeriod = 4;
    double swing = 0.5 - 0.5 * std::cos(2 * M_PI * seconds / kPeriod);
    int64_t at = std::clamp<int64_t>(int64_t(swing * double(width_)), 0, width_ - 1);
    size_t row = size_t(width_) * 3;
    for (int64_t y = 0; y < height_; ++y, a += row, b += row, to += row) {
      std::memcpy(to, a, size_t(at) * 3);
      std::memset(to + at * 3, 255, 3);
      std::memcpy(to + (at + 1) * 3, b + (at + 1) * 3, size_t(width_ - at - 1) * 3);
    }
  }

  void difference(const uint8_t* a, const uint8_t* b, uint8_t* to) const {
    for (int64_t i = 0; i < width_ * height_ * 3; ++i) {
      to[i] = uint8_t(std::min(255.0, amplify_ * std::abs(int(a[i]) - int(b[i]))));
    }
  }

  double amplify_;
  int64_t width_, height_;
  double fps_;
  bool replace_;
  std::vector<Clip> clips_;
};

void summarise(ClipDifference& d, double squares) {
  double samples = double(d.width * d.height * 3) * double(d.frames.size());
  d.psnr = psnr_of(squares / samples);
  d.psnr_min = d.ssim_min = kEqualPsnr;
  for (const FrameDifference& f : d.frames) {
    d.psnr_mean += f.psnr / double(d.frames.size()), d.ssim_mean += f.ssim / double(d.frames.size());
    d.psnr_min = std::min(d.psnr_min, f.psnr), d.ssim_min = std::min(d.ssim_min, f.ssim);
  }
  d.identical = squares == 0;
}

}  // namespace

Result<std::unique_ptr<FrameSource>> FrameSource::open(const std::string& path) {
  if (!path.ends_with(".safetensors")) {
    // One frame more than a clip may have, so that a longer one is refused rather than compared in part.
    ZT_ASSIGN_OR_RETURN(auto reader, open_isolated(path, {.frames = kMaxFrames + 1}));
    return std::unique_ptr<FrameSource>(std::make_unique<ClipSource>(std::move(reader)));
  }
  auto file = SafetensorsFile::open(path);
  if (!file.ok()) return invalid("{}", file.status().message());
  auto found = file->tensors.find("frames");
  if (found == file->tensors.end()) return invalid("{}: no tensor `frames` in it", path);
  TensorView t = found->second;
  if (t.dtype != DType::u8 || t.rank() != 4 || t.dim(3) != 3 || t.count() == 0)
    return invalid("{}: frames are {} {}, expected u8 [T, H, W, 3]", path, dtype_name(t.dtype), t.shape.str());
  return std::unique_ptr<FrameSource>(std::make_unique<TensorSource>(std::move(*file), t));
}

Result<ClipDifference> compare_clips(const std::string& path_a, const std::string& path_b, const ComparePictures& wanted) {
  ZT_ASSIGN_OR_RETURN(auto a, FrameSource::open(path_a));
  ZT_ASSIGN_OR_RETURN(auto b, FrameSource::open(path_b));
  if (a->width() != b->width() || a->height() != b->height()) {
    return invalid("{} is {}x{} and {} is {}x{}: only clips of one size can be compared", path_a, a->width(), a->height(), path_b,
                   b->width(), b->height());
  }
  ClipDifference d;
  d.width = a->width(), d.height = a->height(), d.fps = a->fps() > 0 ? a->fps() : b->fps() > 0 ? b->fps() : wanted.fps;
  Pictures pictures(wanted, d.width, d.height, d.fps);
  ZT_RETURN_IF_ERROR(pictures.open(wanted));
  std::vector<uint8_t> x(size_t(d.width * d.height * 3)), y(x.size());
  double squares = 0;
  for (;;) {
    ZT_ASSIGN_OR_RETURN(bool more_a, a->next(x.data()));
    ZT_ASSIGN_OR_RETURN(bool more_b, b->next(y.data()));
    if (more_a != more_b)
      return invalid("{} ends after {} frames and {} goes on: clips must be equally long", more_a ? path_b : path_a, d.frames.size(),
                     more_a ? path_a : path_b);
    if (!more_a) break;
    if (int64_t(d.frames.size()) == kMaxFrames) return invalid("{}: more than {} frames; compare shorter clips", path_a, kMaxFrames);
    double square = squared_difference(x, y);
    squares += square;
    ZT_RETURN_IF_ERROR(pictures.push(x, y, int64_t(d.frames.size())));
    d.frames.push_back({psnr_of(square / double(x.size())), ssim(x.data(), y.data(), d.height, d.width)});
  }
  if (d.frames.empty()) return invalid("{}: no frames in it", path_a);
  ZT_RETURN_IF_ERROR(pictures.commit());
  summarise(d, squares);
  return d;
}

}  // namespace zt
