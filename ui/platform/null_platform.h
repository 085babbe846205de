// No screen: an ImGui context with synthetic input, for tests. Time moves by 1/60 s a frame.
#pragma once

#include <map>

#include "ui/platform/platform.h"

namespace zt::ui {

class NullPlatform final : public Platform {
 public:
  NullPlatform(int width, int height);
  ~NullPlatform() override;
  NullPlatform(const NullPlatform&) = delete;
  NullPlatform& operator=(const NullPlatform&) = delete;

  void* show(const std::string& place, const Clip& clip, int64_t frame, bool smooth) override;
  void wait(double seconds) override;
  void wake() override {}
  void begin_frame() override;
  void end_frame() override;
  void set_look(bool light, double scale) override;
  void ignore_mouse() override {}
  bool visible() const override { return true; }
  bool close_asked() override { return false; }
  std::vector<std::string> take_dropped() override { return {}; }
  double screen_scale() const override { return 1; }
  int width() const override { return width_; }
  int height() const override { return height_; }
  void set_title(const std::string& title) override { title_ = title; }
  double seconds() const override { return time_; }
  Clip capture() override;

  // Input of the next frames.
  void resize(int width, int height) { width_ = width, height_ = height; }
  void mouse(float x, float y, bool down);
  void key(int key, bool down, bool ctrl = false, bool shift = false);
  void type(const std::string& text);

  const std::string& title() const { return title_; }
  const std::map<std::string, int64_t>& shown() const { return shown_; }  // place -> frame
  int64_t triangles() const { return triangles_; }                        // of the frame drawn last

 private:
  int width_, height_;
  double time_ = 0;
  std::string title_;
  std::map<std::string, int64_t> shown_;
  int64_t triangles_ = 0;
};

}  // namespace zt::ui
