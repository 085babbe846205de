// Frames into MP4, MKV, MOV, WebM or GIF. RGB becomes limited-range BT.709 YUV by an explicit matrix, and stream and
// container say so: swscale's own default is BT.601, which players then show with wrong colours.
#include <cerrno>
#include <cmath>
#include <optional>

#include "app/media/av.h"
#include "app/media/frame_encoder.h"
#include "app/media/output_file.h"
#include "app/media/palette.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace zt {
namespace {

// FFmpeg's writing side, led through our own.
struct Sink {
  OutputStream stream;
  Status status;  // of the first write that failed
};
int write_packet(void* opaque, uint8_t* data, int bytes) {
  auto* sink = static_cast<Sink*>(opaque);
  if (sink->status.ok()) sink->status = sink->stream.write(data, size_t(bytes));
  return sink->status.ok() ? bytes : AVERROR(EIO);
}
int64_t seek(void* opaque, int64_t offset, int whence) {
  auto* sink = static_cast<Sink*>(opaque);
  if (whence & AVSEEK_SIZE) return sink->stream.size();
  auto at = sink->stream.seek(offset, whence & ~AVSEEK_FORCE);
  return at.ok() ? *at : AVERROR(EIO);
}

// Holds a muxer with its open file; closing twice or half-open is fine.
struct Muxer {
  AVFormatContext* context = nullptr;
  std::optional<Sink> sink;
  Muxer() = default;
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;
  ~Muxer() {
    if (!context) return;
    close_buffer();
    avformat_free_context(context);
  }
  bool open_buffer() {
    constexpr int kBytes = 1 << 16;
    auto* buffer = static_cast<uint8_t*>(av_malloc(kBytes));
    context->pb = buffer ? avio_alloc_context(buffer, kBytes, 1, &*sink, nullptr, write_packet, seek) : nullptr;
    if (!context->pb) av_free(buffer);
    context->flags |= AVFMT_FLAG_CUSTOM_IO;
    return context->pb != nullptr;
  }
  int close_buffer() {
    if (!context->pb) return 0;
    avio_flush(context->pb);
    int error = context->pb->error;
    av_freep(&context->pb->buffer);
    avio_context_free(&context->pb);
    return error;
  }
};

struct Options {
  AVDictionary* dict = nullptr;
  Options() = default;
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  ~Options() { av_dict_free(&dict); }
  void set(const char* key, const std::string& value) { av_dict_set(&dict, key, value.c_str(), 0); }
};

void set_codec_options(const ClipFormat& f, Options& options) {
  if (f.crf >= 0) options.set("crf", std::to_string(f.crf));
  if (f.encoder == "libx264") options.set("preset", "medium");
  // x265 prints by itself; pools and frame threads stay off so that the bytes do not depend on the machine.
  if (f.encoder == "libx265")
    options.set("preset", "medium"), options.set("x265-params", "log-level=none:pools=none:frame-threads=1:info=0");
  if (f.encoder == "libaom-av1") options.set("cpu-used", "6"), options.set("row-mt", "0");
  if (f.encoder == "libvpx-vp9") options.set("cpu-used", "2"), options.set("deadline", "good");
  if (f.encoder == "ffv1") options.set("level", "3"), options.set("slicecrc", "1");
}

class Container final : public FrameEncoder {
 public:
  explicit Container(PendingFile file) : file_(std::move(file)) {}

  Status open(const ClipSettings& s) {
    width_ = int(s.width), height_ = int(s.height);
    AVPixelFormat pix = av_get_pix_fmt(s.format.pix_fmt.c_str());
    const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(pix);
    if (!desc) return invalid("pix_fmt: FFmpeg does not know {}", s.format.pix_fmt);
    bool rgb = (desc->flags & AV_PIX_FMT_FLAG_RGB) != 0, palette = pix == AV_PIX_FMT_PAL8;
    rate_ = av_d2q(s.fps, 100100);

    // "file:" keeps a colon in a name from reading as a protocol.
    std::string url = "file:" + file_.temporary();
    int rc = avformat_alloc_output_context2(&muxer_.context, nullptr, s.format.container.c_str(), url.c_str());
    if (rc < 0) return failed("{}: FFmpeg cannot write {}: {}", s.output, s.format.container, av_reason(rc));
    muxer_.context->flags |= AVFMT_FLAG_BITEXACT;

    const AVCodec* codec = avcodec_find_encoder_by_name(s.format.encoder.c_str());
    codec_.reset(codec ? avcodec_alloc_context3(codec) : nullptr);
    if (!codec_) return failed("{}: FFmpeg has no encoder {}", s.output, s.format.encoder);
    AVCodecContext* c = codec_.get();
    c->width = width_, c->height = height_, c->pix_fmt = pix;
    c->time_base = av_inv_q(rate_), c->framerate = rate_, c->sample_aspect_ratio = {1, 1};
    c->thread_count = 1;  // it runs beside the decoder; and x264's bytes depend on its thread count
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (muxer_.context->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (!palette) {
      c->color_primaries = AVCOL_PRI_BT709, c->color_trc = AVCOL_TRC_BT709;
      c->colorspace = rgb ? AVCOL_SPC_RGB : AVCOL_SPC_BT709;
      c->color_range = rgb ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
      if (desc->log2_chroma_w) c->chroma_sample_location = AVCHROMA_LOC_LEFT;
    }
    if (s.format.codec == "h265" && muxer_.context->oformat->name != std::string_view("matroska"))
      c->codec_tag = MKTAG('h', 'v', 'c', '1');
    Options codec_options;
    set_codec_options(s.format, codec_options);
    rc = avcodec_open2(c, codec, &codec_options.dict);
    if (rc < 0)
      return failed("{}: encoder {} refuses {}x{} {}: {}", s.output, s.format.encoder, width_, height_, s.format.pix_fmt,
                    av_reason(rc));

    stream_ = avformat_new_stream(muxer_.context, nullptr);
    if (!stream_) return failed("{}: no memory for the stream", s.output);
    stream_->time_base = c->time_base, stream_->avg_frame_rate = rate_, stream_->r_frame_rate = rate_,
    stream_->sample_aspect_ratio = {1, 1};
    rc = avcodec_parameters_from_context(stream_->codecpar, c);
    if (rc < 0) return failed("{}: {}", s.output, av_reason(rc));
    if (!s.comment.empty()) av_dict_set(&muxer_.context->metadata, "comment", s.comment.c_str(), 0);
    ZT_ASSIGN_OR_RETURN(OutputStream stream, file_.open());
    muxer_.sink.emplace(Sink{std::move(stream), {}});
    if (!muxer_.open_buffer()) return failed("{}: no memory for its buffer", s.output);
    Options muxer_options;
    bool iso = s.format.container == "mp4" || s.format.container == "mov";
    if (iso) muxer_options.set("movflags", "+faststart+write_colr");
    rc = avformat_write_header(muxer_.context, &muxer_options.dict);
    if (rc < 0) return fail(rc);

    if (!palette) {
      ZT_ASSIGN_OR_RETURN(scaler_, make_scaler(width_, height_, AV_PIX_FMT_RGB24, pix, SWS_CS_ITU709, false));
    }
    frame_.reset(av_frame_alloc()), packet_.reset(av_packet_alloc());
    if (!frame_ || !packet_) return failed("{}: no memory for a frame", s.output);
    frame_->format = pix, frame_->width = width_, frame_->height = height_;
    frame_->color_primaries = c->color_primaries, frame_->color_trc = c->color_trc, frame_->colorspace = c->colorspace;
    frame_->color_range = c->color_range, frame_->chroma_location = c->chroma_sample_location;
    rc = av_frame_get_buffer(frame_.get(), 0);
    return rc < 0 ? failed("{}: {}", s.output, av_reason(rc)) : ok_status();
  }

  Status write(const uint8_t* rgb) override {
    int rc = av_frame_make_writable(frame_.get());
    if (rc < 0) return fail(rc);
    if (frame_->format == AV_PIX_FMT_PAL8) {
      quantise(rgb, width_, height_, frame_->data[0], frame_->linesize[0], reinterpret_cast<uint32_t*>(frame_->data[1]));
    } else {
      const uint8_t* planes[1] = {rgb};
      const int strides[1] = {3 * width_};
      sws_scale(scaler_.get(), planes, strides, 0, height_, frame_->data, frame_->linesize);
    }
    frame_->pts = next_++;
    return encode(frame_.get());
  }

  Status finish() override {
    ZT_RETURN_IF_ERROR(encode(nullptr));
    int rc = av_write_trailer(muxer_.context);
    if (rc < 0) return fail(rc);
    rc = muxer_.close_buffer();
    return rc < 0 ? fail(rc) : muxer_.sink->stream.close();
  }

  Status commit() override { return file_.commit(); }

 private:
  Status fail(int rc) const {
    if (muxer_.sink && !muxer_.sink->status.ok()) return muxer_.sink->status;
    return failed("{}: {}", file_.path(), av_reason(rc));
  }

  Status encode(const AVFrame* frame) {
    int rc = avcodec_send_frame(codec_.get(), frame);
    if (rc < 0) return fail(rc);
    for (;;) {
      rc = avcodec_receive_packet(codec_.get(), packet_.get());
      if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF) return ok_status();
      if (rc < 0) return fail(rc);
      packet_->stream_index = stream_->index;
      if (packet_->duration == 0) packet_->duration = 1;
      av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
      rc = av_interleaved_write_frame(muxer_.context, packet_.get());
      // Buffered writes report a full disk late; asking after each packet ends the job there and not an hour later.
      if (rc >= 0 && muxer_.context->pb->error < 0) rc = muxer_.context->pb->error;
      if (rc < 0) return fail(rc);
    }
  }

  PendingFile file_;
  Muxer muxer_;
  CodecPtr codec_;
  ScalerPtr scaler_;
  FramePtr frame_;
  PacketPtr packet_;
  AVStream* stream_ = nullptr;
  AVRational rate_{16, 1};
  int width_ = 0, height_ = 0;
  int64_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<FrameEncoder>> open_container(const ClipSettings& settings) {
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(settings.output, settings.replace, false, settings.faults));
  auto container = std::make_unique<Container>(std::move(file));
  ZT_RETURN_IF_ERROR(container->open(settings));
  return std::unique_ptr<FrameEncoder>(std::move(container));
}

}  // namespace zt
