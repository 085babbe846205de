#include "app/media/clip_reader.h"

#include <filesystem>

#include "app/media/av.h"
#include "app/media/clip_format.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace zt {
namespace {

std::string text(const char* s) { return s ? s : "unknown"; }

class Reader final : public ClipReader {
 public:
  ~Reader() override { avformat_close_input(&demuxer_); }

  Status open(const std::string& path) {
    path_ = path;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,image2,png_pipe,ivf", 0);
    int rc = avformat_open_input(&demuxer_, ("file:" + path).c_str(), nullptr, &options);
    av_dict_free(&options);
    if (rc < 0) return invalid("{}: cannot be read as a clip: {}", path, av_reason(rc));
    rc = avformat_find_stream_info(demuxer_, nullptr);
    const AVCodec* codec = nullptr;
    if (rc >= 0) rc = stream_ = av_find_best_stream(demuxer_, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (rc < 0 || !codec) return invalid("{}: no video in it: {}", path, av_reason(rc));
    AVStream* s = demuxer_->streams[stream_];
    const AVCodecParameters* p = s->codecpar;
    bool fits = p->width > 0 && p->height > 0 && p->width <= kMaxSide && p->height <= kMaxSide &&
                int64_t(p->width) * p->height <= kMaxPixels;
    if (!fits) return invalid("{}: {}x{} is beyond what is read ({} a side)", path, p->width, p->height, kMaxSide);
    codec_.reset(avcodec_alloc_context3(codec)), frame_.reset(av_frame_alloc()), packet_.reset(av_packet_alloc());
    if (!codec_ || !frame_ || !packet_) return failed("{}: no memory", path);
    rc = avcodec_parameters_to_context(codec_.get(), p);
    codec_->max_pixels = kMaxPixels;
    if (rc >= 0) rc = avcodec_open2(codec_.get(), codec, nullptr);
    if (rc < 0) return invalid("{}: {}: {}", path, codec->name, av_reason(rc));

    info_.width = p->width, info_.height = p->height;
    AVRational rate = s->avg_frame_rate.num > 0 ? s->avg_frame_rate : s->r_frame_rate;
    info_.fps = rate.den > 0 ? av_q2d(rate) : 0;
    info_.container = text(demuxer_->iformat->name), info_.codec = text(avcodec_get_name(p->codec_id));
    info_.pix_fmt = text(av_get_pix_fmt_name(AVPixelFormat(p->format)));
    info_.matrix = text(av_color_space_name(p->color_space)), info_.primaries = text(av_color_primaries_name(p->color_primaries));
    info_.transfer = text(av_color_transfer_name(p->color_trc)), info_.range = text(av_color_range_name(p->color_range));
    const AVDictionaryEntry* comment = av_dict_get(demuxer_->metadata, "comment", nullptr, 0);
    if (comment) info_.comment = comment->value;
    return ok_status();
  }

  const ClipInfo& info() const override { return info_; }

  Result<bool> next(uint8_t* rgb) override {
    for (;;) {
      int rc = avcodec_receive_frame(codec_.get(), frame_.get());
      if (rc == AVERROR_EOF) return false;
      if (rc >= 0) {
        ZT_RETURN_IF_ERROR(convert(rgb));
        return true;
      }
      if (rc != AVERROR(EAGAIN)) return failed("{}: {}", path_, av_reason(rc));
      ZT_RETURN_IF_ERROR(feed());
    }
  }

 private:
  Status feed() {
    for (;;) {
      int rc = av_read_frame(demuxer_, packet_.get());
      bool end = rc == AVERROR_EOF;
      if (rc < 0 && !end) return failed("{}: {}", path_, av_reason(rc));
      bool ours = end || packet_->stream_index == stream_;
      if (ours) rc = avcodec_send_packet(codec_.get(), end ? nullptr : packet_.get());
      av_packet_unref(packet_.get());
      if (ours) return rc < 0 ? failed("{}: {}", path_, av_reason(rc)) : ok_status();
    }
  }

  Status convert(uint8_t* rgb) {
    if (frame_->width != info_.width || frame_->height != info_.height)
      return failed("{}: the frame size changes inside the clip", path_);
    if (!scaler_) {
      int matrix = frame_->colorspace == AVCOL_SPC_UNSPECIFIED ? (frame_->height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601)
                                                               : int(frame_->colorspace);
      bool full = frame_->color_range == AVCOL_RANGE_JPEG;
      ZT_ASSIGN_OR_RETURN(
          scaler_, make_scaler(frame_->width, frame_->height, AVPixelFormat(frame_->format), AV_PIX_FMT_RGB24, matrix, full));
      format_ = frame_->format;
    }
    if (frame_->format != format_) return failed("{}: the pixel format changes inside the clip", path_);
    uint8_t* planes[1] = {rgb};
    const int strides[1] = {3 * int(info_.width)};
    sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, frame_->height, planes, strides);
    return ok_status();
  }

  std::string path_;
  ClipInfo info_;
  AVFormatContext* demuxer_ = nullptr;
  int stream_ = -1, format_ = -1;
  CodecPtr codec_;
  FramePtr frame_;
  PacketPtr packet_;
  ScalerPtr scaler_;
};

}  // namespace

Result<std::unique_ptr<ClipReader>> ClipReader::open(const std::string& path) {
  // A pipe would be waited for.
  if (std::error_code error; std::filesystem::is_other(path, error)) return invalid("{}: not a regular file", path);
  auto reader = std::make_unique<Reader>();
  ZT_RETURN_IF_ERROR(reader->open(frames_of(path)));
  return std::unique_ptr<ClipReader>(std::move(reader));
}

}  // namespace zt
