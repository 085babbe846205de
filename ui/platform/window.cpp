#include <backends/imgui_impl_glfw.h>
#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <map>
#include <utility>

#include <GLFW/glfw3.h>

#include "ui/platform/look.h"
#include "ui/platform/platform.h"

namespace zt::ui {
namespace {

// The few functions of OpenGL called here, loaded like ImGui's back end does: no library to be missing at start-up.
struct Gl {
  decltype(&glGenTextures) gen_textures = nullptr;
  decltype(&glDeleteTextures) delete_textures = nullptr;
  decltype(&glBindTexture) bind_texture = nullptr;
  decltype(&glTexParameteri) tex_parameter = nullptr;
  decltype(&glTexImage2D) tex_image = nullptr;
  decltype(&glPixelStorei) pixel_store = nullptr;
  decltype(&glReadPixels) read_pixels = nullptr;
  decltype(&glViewport) viewport = nullptr;
  decltype(&glClearColor) clear_color = nullptr;
  decltype(&glClear) clear = nullptr;

  bool load() {
    auto get = [](auto& f, const char* name) {
      f = reinterpret_cast<std::remove_reference_t<decltype(f)>>(glfwGetProcAddress(name));
      return f != nullptr;
    };
    return get(gen_textures, "glGenTextures") && get(delete_textures, "glDeleteTextures") && get(bind_texture, "glBindTexture") &&
           get(tex_parameter, "glTexParameteri") && get(tex_image, "glTexImage2D") && get(pixel_store, "glPixelStorei") &&
           get(read_pixels, "glReadPixels") && get(viewport, "glViewport") && get(clear_color, "glClearColor") &&
           get(clear, "glClear");
  }
};

constexpr GLint kClampToEdge = 0x812f;  // GL_CLAMP_TO_EDGE, newer than the header's OpenGL 1.1

// GLFW belongs to the process: made once, ended with the window.
struct Library {
  bool good = false;
  ~Library() {
    if (good) glfwTerminate();
  }
};

class Window final : public Platform {
 public:
  ~Window() override {
    if (drawing_) ImGui_ImplOpenGL3_Shutdown();
    if (input_) ImGui_ImplGlfw_Shutdown();
    if (context_) ImGui::DestroyContext();
    for (auto& [place, t] : textures_) gl_.delete_textures(1, &t.name);
    if (window_) glfwDestroyWindow(window_);
  }

  Problem open(int w, int h, const std::string& title) {
    library_.good = glfwInit() == GLFW_TRUE;
    if (!library_.good) return reason("no display") + "; start it in a graphical session, or use the command `zoetrope`";
    glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3), glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 0);
    glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
    glfwWindowHintString(GLFW_X11_CLASS_NAME, "zoetrope-desktop");
    window_ = glfwCreateWindow(w, h, title.c_str(), nullptr, nullptr);
    if (!window_)
      return reason("no context") + "; it needs OpenGL 3: install a driver (libgl1-mesa-dri draws without a graphics card)";
    glfwMakeContextCurrent(window_);
    constexpr int kLeastWidth = 320, kLeastHeight = 200;
    glfwSetWindowSizeLimits(window_, kLeastWidth, kLeastHeight, GLFW_DONT_CARE, GLFW_DONT_CARE);
    if (!gl_.load()) return "OpenGL misses functions; install a newer driver (libgl1-mesa-dri draws without a graphics card)";
    glfwSwapInterval(1);
    glfwSetWindowUserPointer(window_, this);
    glfwSetDropCallback(window_, [](GLFWwindow* win, int count, const char** paths) {
      auto* self = static_cast<Window*>(glfwGetWindowUserPointer(win));
      self->dropped_.insert(self->dropped_.end(), paths, paths + count);
    });
    ImGui::CreateContext();
    context_ = true;
    ImGui::GetIO().IniFilename = nullptr;  // the layout is ours, the rest is kept with the window state
    ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
    if (!(input_ = ImGui_ImplGlfw_InitForOpenGL(window_, true))) return "the window takes no input";
    if (!(drawing_ = ImGui_ImplOpenGL3_Init("#version 130"))) return "OpenGL 3 cannot draw here";
    return {};
  }

  void* show(const std::string& place, const Clip& clip, int64_t frame, bool smooth) override {
    Texture& t = textures_[place];
    if (t.clip != clip || t.frame != frame) {
      if (!t.name) gl_.gen_textures(1, &t.name);
      gl_.bind_texture(GL_TEXTURE_2D, t.name);
      gl_.tex_parameter(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
      gl_.tex_parameter(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, smooth ? GL_LINEAR : GL_NEAREST);
      gl_.tex_parameter(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, kClampToEdge);
      gl_.tex_parameter(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, kClampToEdge);
      gl_.pixel_store(GL_UNPACK_ALIGNMENT, 1);
      gl_.tex_image(GL_TEXTURE_2D, 0, GL_RGB, GLsizei(clip->width), GLsizei(clip->height), 0, GL_RGB, GL_UNSIGNED_BYTE,
                    clip->frame(frame));
      t.clip = clip, t.frame = frame;
    }
    return reinterpret_cast<void*>(uintptr_t(t.name));
  }

  void wait(double seconds) override {
    if (seconds < 0) {
      glfwWaitEvents();
    } else if (seconds > 0) {
      glfwWaitEventsTimeout(seconds);
    } else {
      glfwPollEvents();
    }
  }
  void wake() override { glfwPostEmptyEvent(); }

  void set_look(bool light, double scale) override {
    set_style(light, float(scale));
    ImGui_ImplOpenGL3_DestroyFontsTexture();
    load_fonts(kTextPixels * float(scale));
    ImGui_ImplOpenGL3_CreateFontsTexture();
  }
  void ignore_mouse() override { no_mouse_ = true; }
  bool visible() const override { return glfwGetWindowAttrib(window_, GLFW_ICONIFIED) == 0; }

  void begin_frame() override {
    ImGui_ImplOpenGL3_NewFrame();
    ImGui_ImplGlfw_NewFrame();
    if (no_mouse_) ImGui::GetIO().MousePos = {-FLT_MAX, -FLT_MAX};
    ImGui::NewFrame();
  }
  void end_frame() override {
    ImGui::Render();
    glfwGetFramebufferSize(window_, &pixels_w_, &pixels_h_);
    gl_.viewport(0, 0, pixels_w_, pixels_h_);
    // The panels have no ground of their own: on a machine without a graphics card filling the window is what a frame costs.
    const ImVec4& ground = ImGui::GetStyle().Colors[ImGuiCol_WindowBg];
    gl_.clear_color(ground.x, ground.y, ground.z, 1);
    gl_.clear(GL_COLOR_BUFFER_BIT);
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
    glfwSwapBuffers(window_);
  }

  bool close_asked() override {
    bool asked = glfwWindowShouldClose(window_) != 0;
    glfwSetWindowShouldClose(window_, GLFW_FALSE);
    return asked;
  }
  std::vector<std::string> take_dropped() override { return std::exchange(dropped_, {}); }
  double screen_scale() const override {
    float x = 1, y = 1;
    glfwGetWindowContentScale(window_, &x, &y);
    return std::clamp(double(std::max(x, y)), 0.5, 4.);
  }
  int width() const override { return size().first; }
  int height() const override { return size().second; }
  void set_title(const std::string& title) override { glfwSetWindowTitle(window_, title.c_str()); }
  double seconds() const override { return glfwGetTime(); }

  Clip capture() override {
    auto clip = std::make_shared<ClipFrames>();
    clip->width = pixels_w_, clip->height = pixels_h_, clip->frames = 1;
    size_t row = size_t(pixels_w_) * 3;
    std::vector<uint8_t> upside_down(row * size_t(pixels_h_));
    // What was drawn last is in the buffer that is shown.
    gl_.pixel_store(GL_PACK_ALIGNMENT, 1);
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
    gl_.read_pixels(0, 0, pixels_w_, pixels_h_, GL_RGB, GL_UNSIGNED_BYTE, upside_down.data());
    for (int y = pixels_h_ - 1; y >= 0; --y) {
      auto from = upside_down.begin() + std::ptrdiff_t(row * size_t(y));
      clip->rgb.insert(clip->rgb.end(), from, from + std::ptrdiff_t(row));
    }
    return clip;
  }

 private:
  struct Texture {
    GLuint name = 0;
    Clip clip;
    int64_t frame = -1;
  };

  static Problem reason(const char* fallback) {
    const char* text = nullptr;
    glfwGetError(&text);
    return std::string("no window: ") + (text ? text : fallback);
  }
  std::pair<int, int> size() const {
    int w = 0, h = 0;
    glfwGetWindowSize(window_, &w, &h);
    return {w, h};
  }

  Library library_;
  Gl gl_;
  GLFWwindow* window_ = nullptr;
  bool no_mouse_ = false, context_ = false, input_ = false, drawing_ = false;
  int pixels_w_ = 0, pixels_h_ = 0;
  std::map<std::string, Texture> textures_;
  std::vector<std::string> dropped_;
};

}  // namespace

std::unique_ptr<Platform> make_window(int width, int height, const std::string& title, Problem& problem) {
  auto window = std::make_unique<Window>();
  problem = window->open(width, height, title);
  if (!problem.empty()) return nullptr;
  return window;
}

}  // namespace zt::ui
