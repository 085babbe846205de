#include "app/headless/stop_signals.h"

#include <unistd.h>

namespace zt {

void StopSignals::wait(int timeout_ms) {
  for (int stops = loop_.wait(timeout_ms); stops > 0; --stops) {
    // The next run removes what is left behind here.
    if (stopping_) _exit(int(ExitCode::interrupted));
    stopping_ = true;
    say_("stopping; once more stops at once");
    for (Engine* engine : engines_) {
      Command cancel;
      cancel.kind = Command::Kind::cancel_all;
      engine->post(std::move(cancel));
    }
  }
}

}  // namespace zt
