// The reducer by subject; only reduce.cpp and these files use it.
#pragma once

#include "ui/state/input.h"

namespace zt::ui {

void say(AppState& state, Notice::Kind kind, std::string text);

// form.cpp. Those that return effects ask for a new estimate when the answer would change.
Effects set_field(AppState& state, const SetField& action);
Effects set_method(AppState& state, MethodChoice choice);
Effects set_aspect(AppState& state, const SetAspect& action);
Effects load_form(AppState& state, JobSpec spec);
Effects ask_estimate(AppState& state);
void roll_seed(AppState& state);
void take_defaults(AppState& state, const ModelDescribed& answer);

// jobs.cpp
Effects render(AppState& state);
Effects start_next(AppState& state);
// The folder's queue file: jobs of an earlier start, or of another program.
void take_waiting(AppState& state, const std::vector<JobSpec>& jobs);
Effects take_done_elsewhere(AppState& state, uint64_t id);
Effects take_taken_elsewhere(AppState& state, uint64_t id);
Effects look_again(AppState& state);
// "a-cat-0007.mp4": new names go on from 8.
void note_clip_name(AppState& state, const std::string& path);
Effects cancel(AppState& state, uint64_t id);
void move_job(AppState& state, const Move& action);
void duplicate_job(AppState& state, uint64_t id);
Effects edit_job(AppState& state, uint64_t id);
Effects take_event(AppState& state, const Event& event);
Effects take_submitted(AppState& state, const Submitted& answer);

// viewing.cpp
void show_clip(AppState& state, const ClipLoaded& answer);
void step_frame(AppState& state, int64_t by);
void seek(AppState& state, double position);
void let_pass(AppState& state, double seconds);
Effects save_frame(AppState& state);

// attention.cpp
void take_table(AppState& state, const AttentionTable& table);
void take_map(AppState& state, const AttentionMap& map);
void pick_step(AppState& state, int64_t step);
void step_by(AppState& state, int by);
void pick_cell(AppState& state, int64_t layer, int64_t head);
Effects save_plan(AppState& state, const std::string& path);

}  // namespace zt::ui
