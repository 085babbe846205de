#include "app/media/av.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace zt {
namespace {

bool is_yuv(AVPixelFormat f) {
  const AVPixFmtDescriptor* d = av_pix_fmt_desc_get(f);
  return d && !(d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) && d->nb_components >= 3;
}

}  // namespace

std::string av_reason(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof text);
  return text;
}

void quiet_ffmpeg() { av_log_set_level(AV_LOG_QUIET); }

std::string ffmpeg_versions() {
  auto one = [](const char* name, unsigned v) { return fmt::format("{} {}.{}.{}", name, v >> 16, (v >> 8) & 255, v & 255); };
  return one("avcodec", avcodec_version()) + ", " + one("avformat", avformat_version()) + ", " +
         one("swscale", swscale_version());
}

Result<ScalerPtr> make_scaler(int width, int height, AVPixelFormat from, AVPixelFormat to, int coefficients, bool full_yuv) {
  ScalerPtr scaler(sws_getContext(width, height, from, width, height, to, kScalerFlags, nullptr, nullptr, nullptr));
  if (!scaler) return failed("swscale: no conversion from {} to {}", av_get_pix_fmt_name(from), av_get_pix_fmt_name(to));
  const int* table = sws_getCoefficients(coefficients);
  int from_full = is_yuv(from) ? full_yuv : 1, to_full = is_yuv(to) ? full_yuv : 1;
  constexpr int kOne = 1 << 16;  // neutral contrast and saturation
  // Fails only where there is nothing to set (RGB to RGB).
  (void)sws_setColorspaceDetails(scaler.get(), table, from_full, table, to_full, 0, kOne, kOne);
  return scaler;
}

}  // namespace zt
