// Everything the window shows, as one plain value. Changed only by reduce (reduce.h); panels read it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "app/session/desk.h"
#include "app/session/events.h"
#include "app/session/method_info.h"

namespace zt::ui {

enum class Panel : uint8_t { create, viewer, queue, attention };
inline constexpr int kPanels = 4;

struct Form {
  JobSpec spec;
  MethodChoice method;  // spec.attn follows from it (and from the pins)
  std::vector<Pin> pins;
  std::string plan_path;  // where "save plan" writes
  bool seed_locked = true;
  bool measure = false;  // recall, against dense attention: a report beside the clip
  uint64_t editing = 0;  // id of the waiting job that the form changes; 0 = the form is for a new one
};

struct PendingJob {
  uint64_t id = 0;
  JobSpec spec;            // its output is named as soon as the folder has been looked at
  bool elsewhere = false;  // another worker was at it when its turn came
};

struct RunningJob {
  uint64_t id = 0, request = 0;  // request: the engine's number; 0 until it has answered
  JobSpec spec;
  Progress progress;
  std::vector<std::string> notes;
  bool cancelling = false;
};

struct FinishedJob {
  uint64_t request = 0;
  JobResult result;
};

struct Queue {
  std::deque<PendingJob> pending;  // in the order they will run; taken from the front
  std::optional<RunningJob> running;
  std::vector<FinishedJob> finished;  // in the order they ended
  uint64_t next_id = 1;
};

struct Gallery {
  std::deque<ClipEntry> clips;  // newest first: they come in at the front
  std::string selected;          // path
  int64_t last_number = 0;       // highest one in the names of clips, so far
  bool listed = false;           // the folder has been looked at: names of new clips can be chosen
};

struct Viewer {
  Clip live;  // newest preview of the running job
  int64_t live_step = 0;
  Clip a, b;  // the clip, and the one it is compared with
  std::string a_path, b_path;
  bool show_live = false, playing = true, comparing = false;
  double position = 0;   // seconds into the clip
  double untouched = 0;  // seconds since the user did something
  float wipe = 0.5f;     // share of the width that shows A
};

enum class CellColour : uint8_t { density, recall, time };

struct Inspector {
  std::map<int64_t, AttentionTable> tables;                            // by step
  std::map<std::tuple<int64_t, int64_t, int64_t>, AttentionMap> maps;  // by layer, head, step
  std::map<std::tuple<int64_t, int64_t, int64_t>, AttentionMap> true_maps;  // likewise, those with mass
  size_t map_cells = 0;                                                // in all maps
  bool true_attention = false;                                         // the chosen head is measured, its mass shown
  int64_t step = 0;                                                    // shown
  bool follow = true;                                                  // go on to each new step
  CellColour colour = CellColour::density;
  int64_t layer = 0, head = 0;
  int64_t query = -1;   // selected query block; negative = the one in the middle
  bool sample = false;  // made-up data, to show what the panel looks like
};

struct Notice {
  enum class Kind : uint8_t { info, warning, error };
  Kind kind = Kind::info;
  std::string text;
};

enum class Dialog : uint8_t { none, close, keys };

struct AppState {
  std::vector<MethodInfo> methods;    // the registry's table; never changes
  std::vector<std::string> examples;  // prompts that the embedded model draws well; never changes
  std::vector<std::string> embedded = {"mini"};  // models that came with the program; never changes
  Form form;
  Queue queue;
  Gallery gallery;
  Viewer viewer;
  Inspector inspector;

  std::optional<JobEstimate> estimate;         // of the form; nothing while it is being made
  uint64_t estimate_version = 0;               // of the newest question
  std::map<std::string, double> step_seconds;  // measured seconds a step, by work_key

  std::string output_folder, state_folder;
  std::vector<std::string> recent_models;
  Notice notice;  // the newest line of the status bar
  Panel focus = Panel::create;
  bool focus_changed = false;  // the panel has not taken the keyboard yet
  bool inspector_open = true, light = false;
  double text_scale = 1;
  Dialog dialog = Dialog::none;
  bool quit = false;
  uint64_t random = 1;  // state of the seed dice
};

// The map that stands for the shown step and the selected cell; null when there is none. True attention where it is wanted
// and there; it is never older than a step.
const AttentionMap* shown_map(const Inspector& inspector);
// What the engine is to measure.
MeasuredHead measured_head(const Inspector& inspector);
// What a measured time belongs to: all that decides how long a step takes.
std::string work_key(const JobSpec& spec);
// Seconds the form's job will take, from what was measured before; negative = unknown.
double expected_seconds(const AppState& state);
// The frame at the viewer's position.
int64_t shown_frame(const Viewer& viewer);
// True while something moves: the window must be drawn again without being asked.
bool animated(const AppState& state);
bool busy(const AppState& state);  // a job runs or waits

}  // namespace zt::ui
