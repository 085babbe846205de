#include "ui/state/buttons.h"

#include <algorithm>
#include <cctype>

namespace zt::ui {
namespace {

// clang-format off
constexpr Button kButtons[] = {
    {"render", "Render", "add the job to the queue", {Chord::enter, true}, {}, true},
    {"cancel", "Cancel", "stop the running job", {Chord::del, true}, {}, true},
    {"dice", "Dice", "draw a new seed", {'D', true}, {}, true},
    {"lock", "Lock seed", "keep the seed, or draw a new one for each render", {'L', true}, {}, true},
    {"measure", "Measure recall", "compare each step with dense attention; slower, and writes a report", {'M', true}, {}, true},
    {"play", "Play", "play or pause the clip", {Chord::space}, {'K'}, false},
    {"previous-frame", "Previous frame", "one frame back", {Chord::left}, {','}, false},
    {"next-frame", "Next frame", "one frame on", {Chord::right}, {'.'}, false},
    {"first-frame", "First frame", "to the start of the clip", {Chord::home}, {}, false},
    {"last-frame", "Last frame", "to the end of the clip", {Chord::end}, {}, false},
    {"live", "Live", "show the running job, or the clip", {'P', true}, {}, true},
    {"compare", "Compare", "wipe between two clips", {'B', true}, {}, true},
    {"swap", "Swap", "exchange the two clips", {'B', true, true}, {}, true},
    {"save-frame", "Save frame", "write the shown frame as PNG", {'S', true}, {}, true},
    {"restore", "Restore settings", "settings of the shown clip into the form", {'R', true}, {}, true},
    {"save-plan", "Save plan", "write the pins as a plan file", {'S', true, true}, {}, true},
    {"clear-pins", "Clear pins", "forget the pins", {}, {}, false},
    {"true-attention", "True attention", "measure what the chosen head really reads while a job runs", {'A', true, true}, {}, true},
    {"previous-step", "Previous step", "attention of the step before", {Chord::left, true}, {}, false},
    {"next-step", "Next step", "attention of the next step", {Chord::right, true}, {}, false},
    {"layer-up", "Layer up", "cell above", {Chord::up, true}, {}, false},
    {"layer-down", "Layer down", "cell below", {Chord::down, true}, {}, false},
    {"head-left", "Head left", "cell to the left", {Chord::left, true, true}, {}, false},
    {"head-right", "Head right", "cell to the right", {Chord::right, true, true}, {}, false},
    {"create", "Create", "to the prompt", {'1', true}, {}, true},
    {"viewer", "Viewer", "to the viewer", {'2', true}, {}, true},
    {"queue", "Queue", "to the queue and the gallery", {'3', true}, {}, true},
    {"attention", "Attention", "to the attention inspector", {'4', true}, {}, true},
    {"inspector", "Show inspector", "show or hide the attention inspector", {'I', true}, {}, true},
    {"theme", "Theme", "light or dark", {'T', true}, {}, true},
    {"larger", "Larger text", "larger text", {Chord::plus, true}, {'=', true}, true},
    {"smaller", "Smaller text", "smaller text", {Chord::minus, true}, {}, true},
    {"keys", "Keys", "this list", {Chord::f1}, {}, true},
    {"dismiss", "Dismiss", "close a dialog, clear the message", {Chord::escape}, {}, true},
    {"quit", "Quit", "close the window", {'Q', true}, {}, true},
};
// clang-format on

}  // namespace

std::span<const Button> buttons() { return kButtons; }

const Button* find_button(std::string_view name) {
  // "Save frame" is save-frame.
  auto same = [](char a, char b) { return a == ' ' || a == '_' ? b == '-' : std::tolower(static_cast<unsigned char>(a)) == b; };
  for (const Button& b : kButtons) {
    if (std::equal(name.begin(), name.end(), b.name.begin(), b.name.end(), same)) return &b;
  }
  return nullptr;
}

std::string chord_text(const Chord& chord) {
  if (chord.key == Chord::none) return "";
  constexpr std::string_view kNames[] = {"Enter", "Space", "Left", "Right", "Home", "End", "Esc",
                                         "Del",   "F1",    "+",    "-",     "Up",   "Down"};
  std::string text = chord.ctrl ? "Ctrl+" : "";
  if (chord.shift) text += "Shift+";
  return text + (chord.key >= Chord::enter ? std::string(kNames[chord.key - Chord::enter]) : std::string(1, char(chord.key)));
}

}  // namespace zt::ui
