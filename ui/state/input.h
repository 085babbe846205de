// What can happen to the state: what the user does, what the engine and the desk say, time going by.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "ui/state/app_state.h"

namespace zt::ui {

// --- what the user does ---
struct SetField {
  std::string field, text;
};  // a field of JobSpec, as a flag gives it
struct SetMethod {
  std::string name;
};
struct SetParameter {
  std::string name, value;
};
struct SetAspect {
  int64_t across = 1, up = 1;
};  // keeps about the area
struct Press {
  std::string name;
};  // a row of buttons.h
struct OpenPanel {
  Panel panel = Panel::create;
};
struct Cancel {
  uint64_t id = 0;
};
struct Move {
  uint64_t id = 0;
  int by = 0;
};  // of a waiting job in the queue
struct Duplicate {
  uint64_t id = 0;
};
struct Edit {
  uint64_t id = 0;
};
struct OpenClip {
  std::string path;
  bool as_b = false;
};
struct RestoreSpec {
  JobSpec spec;
  bool seed_only = false;
};
struct DropPaths {
  std::vector<std::string> paths;
};
struct Seek {
  double position = 0;
};
struct SetWipe {
  float share = 0.5f;
};
struct PickStep {
  int64_t step = 0;
};
struct PickCell {
  int64_t layer = 0, head = 0;
};
struct PickQuery {
  int64_t block = -1;
};
struct ColourBy {
  CellColour colour = CellColour::density;
};
struct AddPin {
  Pin pin;
};
struct RemovePin {
  size_t index = 0;
};
struct SavePlan {
  std::string path;
};
struct SetTextScale {
  double scale = 1;
};
struct SetOutputFolder {
  std::string folder;
};
struct AskToClose {};
struct AnswerClose {
  bool close = false;
};

using Action = std::variant<SetField, SetMethod, SetParameter, SetAspect, Press, OpenPanel, Cancel, Move, Duplicate, Edit,
                            OpenClip, RestoreSpec, DropPaths, Seek, SetWipe, PickStep, PickCell, PickQuery, ColourBy, AddPin,
                            RemovePin, SavePlan, SetTextScale, SetOutputFolder, AskToClose, AnswerClose>;

// --- what comes back ---
struct Submitted {
  uint64_t id = 0, request = 0;
};
// Instead of it: another worker has rendered the job, or is at it.
struct DoneElsewhere {
  uint64_t id = 0;
};
struct TakenElsewhere {
  uint64_t id = 0;
};
struct LookAgain {};  // at jobs that others were at
struct Elapsed {
  double seconds = 0;
};
struct FocusTaken {};  // the panel that was opened has the keyboard now

using Input = std::variant<Action, Event, DeskAnswer, Submitted, DoneElsewhere, TakenElsewhere, LookAgain, Elapsed, FocusTaken>;

// --- what is to be done outside ---
struct SubmitJob {
  uint64_t id = 0;
  JobSpec spec;
};  // answered by Submitted, DoneElsewhere or TakenElsewhere
struct CancelJob {
  uint64_t request = 0;
};

struct ForgetJob {
  std::string output;
};  // nobody will resume it
struct MeasureHead {
  MeasuredHead head;
};

using Effect = std::variant<SubmitJob, CancelJob, ForgetJob, MeasureHead, DeskRequest>;
using Effects = std::vector<Effect>;

}  // namespace zt::ui
