// The panels: each draws from the state, which it cannot change, and says what the user did as actions.
#pragma once

#include <string>
#include <tuple>

#include "ui/panels/layout.h"
#include "ui/platform/platform.h"
#include "ui/state/input.h"
#include "ui/widgets/controls.h"

namespace zt::ui {

// What drawing itself must remember from frame to frame; never anything the program decides by.
struct ViewMemo {
  Drafts drafts;
  std::tuple<int64_t, int64_t, int64_t> map_key{-1, -1, -1};  // of map_picture: step, layer, head
  const void* map_source = nullptr;
  Clip map_picture;
  std::string pin_method = "dense";  // chosen for the next pin
};

struct Context {
  const AppState& state;
  Textures& textures;
  ViewMemo& memo;
  std::vector<Action>& actions;
  void act(Action a) const { actions.push_back(std::move(a)); }
  void press(std::string_view name) const { act(Press{std::string(name)}); }
};

// Contents; the caller has opened a window or child for them.
void create_panel(const Context& c);
void attention_form(const Context& c);    // part of create_panel
void cost_form(const Context& c);         // part of create_panel: what the job will take
float cost_height(const AppState& state, float width);
void viewer_panel(const Context& c);
void queue_panel(const Context& c);
void gallery_panel(const Context& c);  // part of queue_panel
void inspector_panel(const Context& c);
void map_view(const Context& c, ImVec2 size);  // part of inspector_panel: one head's blocks
void status_bar(const Context& c);

// The whole window: layout, panels, dialogs, keys.
void draw_all(const Context& c);

// "Zoetrope", while jobs run with how far they are.
std::string window_title(const AppState& state);
std::string clock_text(double seconds);    // "2:05", "4.2 s"
std::string size_text(int64_t megabytes);  // "312 MB", "4.1 GB"
std::string density_text(double density);  // "31.4%"
std::string file_name(const std::string& path);

}  // namespace zt::ui
