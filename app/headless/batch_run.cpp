#include "app/headless/batch_run.h"

#include <algorithm>

#include "app/headless/print.h"

namespace zt {
namespace {

constexpr int kLookAgain = 300;  // ms, for what other workers do
constexpr int kBeat = int(Claim::kBeat / std::chrono::milliseconds(1));

}  // namespace

BatchRun::BatchRun(Batch& batch, BatchView& view, EventLoop& loop, std::vector<std::unique_ptr<JobRunner>> runners, int64_t threads)
    : batch_(batch), view_(view), threads_(threads), signals_(loop, [&](std::string_view line) { view.say(std::string(line)); }) {
  for (auto& runner : runners) {
    lanes_.push_back({std::make_unique<Engine>(std::move(runner), loop.wakeup()), {}, 0});
    signals_.stop(*lanes_.back().engine);
  }
}

int BatchRun::work() {
  for (;;) {
    if (Status s = start_jobs(); !s.ok()) return print_status(s);
    bool idle = std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& l) { return l.jobs.empty(); });
    if (idle && (signals_.stopping() || !batch_.others_at_work())) break;
    if (idle) view_.waiting();
    signals_.wait(at_work() < int64_t(lanes_.size()) ? kLookAgain : kBeat);
    batch_.beat();
    for (Lane& lane : lanes_) show_events(lane);
  }
  view_.summary(signals_.stopping());
  if (signals_.stopping()) return int(ExitCode::interrupted);
  bool all = std::all_of(batch_.items().begin(), batch_.items().end(), [](const BatchItem& i) { return i.done; });
  return int(all ? ExitCode::done : ExitCode::failed);
}

Status BatchRun::start_jobs() {
  for (Lane& lane : lanes_) {
    if (lane.computing != 0 || signals_.stopping()) continue;
    ZT_ASSIGN_OR_RETURN(BatchItem * next, batch_.next());
    show_found();
    if (!next) break;
    view_.begin(*next);
    Command submit;
    submit.spec = next->spec;
    if (lanes_.size() > 1 && submit.spec.threads == 0) submit.spec.threads = threads_for_next();
    lane.computing = lane.engine->post(std::move(submit));
    lane.jobs[lane.computing] = next;
  }
  return ok_status();
}

int64_t BatchRun::at_work() const {
  return std::count_if(lanes_.begin(), lanes_.end(), [](const Lane& l) { return l.computing != 0; });
}

// An equal share; near the end of the batch of fewer jobs.
int64_t BatchRun::threads_for_next() const {
  auto waits = [](const BatchItem& i) { return !i.done && !i.result && !i.claim; };
  int64_t waiting = std::count_if(batch_.items().begin(), batch_.items().end(), waits);
  return std::max<int64_t>(threads_ / std::min(int64_t(lanes_.size()), at_work() + 1 + waiting), 1);
}

void BatchRun::show_events(Lane& lane) {
  while (auto event = lane.engine->poll()) {
    BatchItem& item = *lane.jobs.at(event->request);
    if (auto* line = std::get_if<std::string>(&event->payload)) view_.note(item, *line);
    auto* p = std::get_if<Progress>(&event->payload);
    auto* r = std::get_if<JobResult>(&event->payload);
    if (p) view_.progress(item, *p);
    // A job that only writes leaves its threads to the next one.
    if ((r || (p && p->state == JobState::writing)) && lane.computing == event->request) lane.computing = 0;
    if (!r) continue;
    batch_.finish(item, std::move(*r));
    view_.result(item);
    lane.jobs.erase(event->request);
  }
}

// Jobs that were done before this run, or by another worker meanwhile.
void BatchRun::show_found() {
  for (const BatchItem& i : batch_.items()) {
    if (i.done && !i.result && known_.insert(i.number).second) view_.found(i);
  }
}

}  // namespace zt
