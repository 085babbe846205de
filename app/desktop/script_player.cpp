#include "app/desktop/script_player.h"

namespace zt {
namespace {

// Hover, focus and scroll bars answer a frame late; a new window needs two.
constexpr int kSettledFrames = 4;
constexpr double kDoneLimit = 600;

// Everything ran, and what came out is on the screen.
bool all_done(const ui::AppState& s) {
  if (ui::busy(s)) return false;
  if (s.queue.finished.empty()) return true;
  const JobResult& last = s.queue.finished.back().result;
  return last.code != ExitCode::done || last.files.empty() || s.viewer.a_path == last.files.back() ||
         s.notice.kind == ui::Notice::Kind::error;
}

}  // namespace

bool ScriptPlayer::fail(const ui::ScriptLine& line, const std::string& why) {
  exit_code = 1, error = "line " + std::to_string(line.number) + ": " + why;
  return false;
}

bool ScriptPlayer::wait_done(const ui::ScriptLine& line, const Stage& stage) {
  if (!all_done(stage.state)) {
    if (stage.seconds - wait_begin_ > kDoneLimit)
      return fail(line, "still not done after " + std::to_string(int(kDoneLimit)) + " s");
    return true;
  }
  const auto& finished = stage.state.queue.finished;
  if (!finished.empty() && finished.back().result.code != ExitCode::done) return fail(line, finished.back().result.error);
  wait_begin_ = -1, ++next_;
  return true;
}

bool ScriptPlayer::play(const Stage& stage) {
  if (finished() || ++settled_ < kSettledFrames) return true;
  const ui::ScriptLine& line = lines_[next_];
  using Verb = ui::ScriptLine::Verb;
  if (wait_begin_ < 0) wait_begin_ = stage.seconds;
  if (line.verb == Verb::wait_done) return wait_done(line, stage);
  if (line.verb == Verb::wait && stage.seconds - wait_begin_ < line.seconds) return true;
  wait_begin_ = -1, settled_ = 0, ++next_;
  if (line.verb == Verb::quit) return false;
  if (line.verb == Verb::screenshot) {
    Problem p = stage.screenshot(line.file);
    return p.empty() || fail(line, p);
  }
  if (line.verb != Verb::act) return true;
  const ui::Notice before = stage.state.notice;  // an older complaint is not this line's
  stage.act(line.action);
  const ui::Notice& now = stage.state.notice;
  if (now.kind == ui::Notice::Kind::error && (before.kind != now.kind || before.text != now.text)) return fail(line, now.text);
  return true;
}

}  // namespace zt
