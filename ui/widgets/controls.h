// Small controls the panels are made of. All sizes are in font heights, so they follow the text.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace zt::ui {

// What is being typed into a box and not taken yet, by the box's ImGui number.
using Drafts = std::map<ImGuiID, std::string>;

float em(float n);               // n font heights
void heading(const char* text);  // of a section
// Left column; the control follows on the same line, full width. `column` = width of the labels, 0 = the usual one.
void row_label(const char* text, const char* help, float column = 0);
void progress(float share, ImVec2 size, const std::string& text);
void tip(std::string_view text);  // tooltip of the item before, wrapped
ImVec4 error_colour();            // readable on light and dark
ImVec4 warning_colour();
void wrapped(const ImVec4& colour, const std::string& text);
bool primary_button(const char* label, ImVec2 size, bool enabled = true);
bool toggle_button(const char* label, bool on);
std::string shortened(std::string_view text, float width);  // with "..." where it does not fit

// A one-line box; true when the user has finished with a new text (Enter, or leaving it).
bool text_box(const char* id, const std::string& now, float width, Drafts& drafts, std::string& out);
// Prompt box: wraps at words, Enter is a space. True at each edit.
bool prompt_box(const char* id, const std::string& now, ImVec2 size, std::string& out);

// Button by the name in buttons.h, its key in the tooltip; true when clicked.
bool named_button(std::string_view name, const char* label = nullptr, bool on = false);

}  // namespace zt::ui
