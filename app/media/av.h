// Owners of FFmpeg objects and its error texts.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

#include "kernels/core/status.h"

namespace zt {

struct AvFree {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};
using FramePtr = std::unique_ptr<AVFrame, AvFree>;
using PacketPtr = std::unique_ptr<AVPacket, AvFree>;
using CodecPtr = std::unique_ptr<AVCodecContext, AvFree>;
using ScalerPtr = std::unique_ptr<SwsContext, AvFree>;

std::string av_reason(int error);

// Silences FFmpeg's own lines on stderr; what matters comes back as a Status. Process-wide: called once, by main.
void quiet_ffmpeg();

// "avcodec 59.37.100" and the like, for reports.
std::string ffmpeg_versions();

// The conversions of this program: exact rounding, full chroma resolution, the same bytes on every processor.
inline constexpr int kScalerFlags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;

// Full-range RGB to YUV of `coefficients` (SWS_CS_*), limited range unless `full_yuv`, or the other way round.
Result<ScalerPtr> make_scaler(int width, int height, AVPixelFormat from, AVPixelFormat to, int coefficients, bool full_yuv);

}  // namespace zt
