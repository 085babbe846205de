// The border to the machine: a window to draw into, pictures on it, input from it. One real one, one without a screen.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/session/clip_frames.h"
#include "app/session/job_spec.h"

namespace zt::ui {

// Pictures by name of the place that shows them. What a place showed before is replaced.
class Textures {
 public:
  virtual ~Textures() = default;
  // Handle for ImGui::Image. Uploads only when the place showed something else; `smooth` = linear filter.
  virtual void* show(const std::string& place, const Clip& clip, int64_t frame, bool smooth) = 0;
};

class Platform : public Textures {
 public:
  // Sleeps until there is input, a wakeup, or `seconds` have passed (negative = no limit).
  virtual void wait(double seconds) = 0;
  virtual void wake() = 0;  // from any thread
  virtual void begin_frame() = 0;
  virtual void end_frame() = 0;
  // Fonts, colours and sizes; not between begin_frame and end_frame.
  virtual void set_look(bool light, double scale) = 0;
  // Input comes from a script: where the pointer happens to lie must not show.
  virtual void ignore_mouse() = 0;
  virtual bool visible() const = 0;  // false while it is minimised
  virtual bool close_asked() = 0;    // once for each time
  virtual std::vector<std::string> take_dropped() = 0;
  virtual double screen_scale() const = 0;  // of the screen's dots per inch, 1 = 96
  virtual int width() const = 0;
  virtual int height() const = 0;
  virtual void set_title(const std::string& title) = 0;
  virtual double seconds() const = 0;  // a steady clock
  // The frame just drawn, as a clip of one frame.
  virtual Clip capture() = 0;
};

// A GLFW window with OpenGL 3. `problem` says in one line why there is none and what to do.
std::unique_ptr<Platform> make_window(int width, int height, const std::string& title, Problem& problem);

}  // namespace zt::ui
