// A PNG per frame. All frames gather in a hidden folder beside their place and get their names together at the end.
#include <algorithm>
#include <filesystem>

#include "app/media/av.h"
#include "app/media/frame_encoder.h"
#include "app/media/output_file.h"

namespace zt {
namespace {

namespace fs = std::filesystem;

class Images final : public FrameEncoder {
 public:
  Images(PendingFile folder, const ClipSettings& s) : hidden_(std::move(folder)), settings_(s) {}

  Status open() {
    const AVCodec* codec = avcodec_find_encoder_by_name("png");
    codec_.reset(codec ? avcodec_alloc_context3(codec) : nullptr);
    frame_.reset(av_frame_alloc()), packet_.reset(av_packet_alloc());
    if (!codec_ || !frame_ || !packet_) return failed("{}: FFmpeg has no PNG encoder", settings_.output);
    codec_->width = int(settings_.width), codec_->height = int(settings_.height), codec_->pix_fmt = AV_PIX_FMT_RGB24;
    codec_->time_base = {1, 25};  // wanted by the interface, not stored
    codec_->thread_count = 1;
    codec_->flags |= AV_CODEC_FLAG_BITEXACT;
    int rc = av_opt_set(codec_.get(), "pred", "mixed", AV_OPT_SEARCH_CHILDREN);
    if (rc >= 0) rc = avcodec_open2(codec_.get(), codec, nullptr);
    if (rc < 0) return failed("{}: {}", settings_.output, av_reason(rc));
    frame_->format = AV_PIX_FMT_RGB24, frame_->width = codec_->width, frame_->height = codec_->height;
    rc = av_frame_get_buffer(frame_.get(), 0);
    return rc < 0 ? failed("{}: {}", settings_.output, av_reason(rc)) : ok_status();
  }

  Status write(const uint8_t* rgb) override {
    int rc = av_frame_make_writable(frame_.get());
    for (int y = 0; rc >= 0 && y < codec_->height; ++y) {
      std::copy_n(rgb + size_t(y) * size_t(codec_->width) * 3, size_t(codec_->width) * 3,
                  frame_->data[0] + ptrdiff_t(y) * frame_->linesize[0]);
    }
    frame_->pts = count_;
    if (rc >= 0) rc = avcodec_send_frame(codec_.get(), frame_.get());
    if (rc >= 0) rc = avcodec_receive_packet(codec_.get(), packet_.get());
    if (rc < 0) return failed("{}: {}", settings_.output, av_reason(rc));
    std::string name = part(++count_);
    ZT_ASSIGN_OR_RETURN(OutputStream out, OutputStream::open(name, settings_.output, settings_.faults));
    Status written = out.write(packet_->data, size_t(packet_->size));
    av_packet_unref(packet_.get());
    ZT_RETURN_IF_ERROR(written);
    ZT_RETURN_IF_ERROR(out.close());
    return sync_file(name, settings_.faults);
  }

  Status finish() override { return ok_status(); }

  Status commit() override {
    std::error_code error;
    if (!names_folder(settings_.output)) return move_into("");
    std::string folder = without_slash(settings_.output);
    if (fs::exists(folder, error)) return move_into(folder + "/");
    return hidden_.commit();
  }

 private:
  std::string part(int64_t number) const { return hidden_.temporary() + "/" + frame_name("%04d.png", number); }

  // Frame by frame into a folder that is there already, or by pattern.
  Status move_into(const std::string& folder) {
    for (int64_t i = 1; i <= count_; ++i) {
      std::string name = folder.empty() ? frame_name(settings_.output, i) : folder + frame_name("%04d.png", i);
      std::error_code error;
      fs::rename(part(i), name, error);
      if (error) return failed("{}: cannot give the frame its name: {}", name, error.message());
    }
    return sync_file(folder.empty() ? folder_of(settings_.output) : folder);
  }

  PendingFile hidden_;
  ClipSettings settings_;
  CodecPtr codec_;
  FramePtr frame_;
  PacketPtr packet_;
  int64_t count_ = 0;
};

}  // namespace

Result<std::unique_ptr<FrameEncoder>> open_images(const ClipSettings& settings) {
  ZT_ASSIGN_OR_RETURN(PendingFile folder, PendingFile::create(without_slash(settings.output), settings.replace, true, settings.faults));
  auto images = std::make_unique<Images>(std::move(folder), settings);
  ZT_RETURN_IF_ERROR(images->open());
  return std::unique_ptr<FrameEncoder>(std::move(images));
}

}  // namespace zt
