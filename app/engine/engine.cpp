#include "app/engine/engine.h"

#include <algorithm>
#include <exception>
#include <new>
#include <system_error>

namespace zt {
namespace {

bool share_a_file(const JobSpec& a, const JobSpec& b) {
  for (std::string JobSpec::*x : kOutputNames) {
    for (std::string JobSpec::*y : kOutputNames) {
      if (!(a.*x).empty() && a.*x == b.*y) return true;
    }
  }
  return false;
}

}  // namespace

Engine::Engine(std::unique_ptr<JobRunner> runner, std::function<void()> wakeup, bool watched)
    : runner_(std::move(runner)), wakeup_(std::move(wakeup)), watched_(watched), worker_(&Engine::work, this) {}

Engine::~Engine() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
    if (running_) running_->cancel = true;
  }
  work_.notify_all();
  worker_.join();
}

uint64_t Engine::post(Command command) {
  std::vector<Event> events;
  uint64_t request = 0;
  {
    std::lock_guard lock(mutex_);
    if (command.kind == Command::Kind::submit) {
      auto job = std::make_shared<Job>();
      job->request = request = next_request_++;
      job->spec = std::move(command.spec);
      events.push_back({request, job->progress});
      queue_.push_back(std::move(job));
    } else if (command.kind == Command::Kind::measure) {
      measured_ = command.measured;
    } else {
      auto meant = [&](const Job& j) { return command.kind == Command::Kind::cancel_all || j.request == command.request; };
      std::deque<std::shared_ptr<Job>> kept;
      for (auto& job : queue_) {
        if (!meant(*job)) {
          kept.push_back(job);
          continue;
        }
        JobResult result;
        result.code = ExitCode::interrupted, result.error = "cancelled before it started", result.spec = job->spec;
        events.push_back({job->request, std::move(result)});
      }
      queue_.swap(kept);
      if (running_ && meant(*running_)) running_->cancel = true;
    }
  }
  work_.notify_all();
  for (Event& e : events) publish(std::move(e));
  return request;
}

std::optional<Event> Engine::poll() {
  std::lock_guard lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Event e = std::move(events_.front());
  events_.pop_front();
  return e;
}

Snapshot Engine::snapshot() const {
  std::lock_guard lock(mutex_);
  Snapshot s;
  for (const auto& job : {ending_, running_}) {
    if (job) s.jobs.push_back({job->request, job->spec, job->progress});
  }
  for (const auto& job : queue_) s.jobs.push_back({job->request, job->spec, job->progress});
  return s;
}

void Engine::work() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) break;
      job = running_ = queue_.front();
      queue_.pop_front();
    }
    connect(*job);
    if (must_settle(job->spec)) settle();
    JobRest rest;
    JobResult result = guarded(*job, [&] { return runner_->begin(job->spec, job->control, rest); });
    settle();  // one rest at a time, and results in the order of the jobs
    {
      std::lock_guard lock(mutex_);
      running_.reset();
      if (rest) ending_ = job;
    }
    if (!rest) {
      publish({job->request, std::move(result)});
      continue;
    }
    try {
      ender_ = std::thread(&Engine::end, this, job, rest);
    } catch (const std::system_error&) {  // no thread to be had
      end(job, rest);
    }
  }
  settle();
}

void Engine::end(const std::shared_ptr<Job>& job, const JobRest& rest) {
  JobResult result = guarded(*job, rest);
  {
    std::lock_guard lock(mutex_);
    ending_.reset();
  }
  publish({job->request, std::move(result)});
}

// What the rest has not named yet, the next job's checks would not see.
bool Engine::must_settle(const JobSpec& next) const {
  std::lock_guard lock(mutex_);
  return ending_ && share_a_file(ending_->spec, next);
}

void Engine::settle() {
  if (ender_.joinable()) ender_.join();
}

void Engine::connect(Job& job) {
  JobControl& control = job.control;
  control.cancel = &job.cancel;
  control.settle = [this] { settle(); };
  control.progress = [this, &job](const Progress& p) {
    {
      std::lock_guard lock(mutex_);
      job.progress = p;
    }
    publish({job.request, p});
  };
  control.note = [this, &job](std::string line) { publish({job.request, std::move(line)}); };
  if (!watched_) return;
  control.preview = [this, &job](Preview p) { publish({job.request, std::move(p)}); };
  control.attention = [this, &job](AttentionTable t) { publish({job.request, std::move(t)}); };
  control.attention_map = [this, &job](AttentionMap m) { publish({job.request, std::move(m)}); };
  control.measured_head = [this] {
    std::lock_guard lock(mutex_);
    return measured_;
  };
}

JobResult Engine::guarded(const Job& job, const std::function<JobResult()>& work) {
  JobResult result;
  result.spec = job.spec;
  try {
    return work();
  } catch (const std::bad_alloc&) {
    result.code = ExitCode::too_big, result.error = "out of memory";
  } catch (const std::exception& e) {
    result.code = ExitCode::failed, result.error = std::string("internal error: ") + e.what();
  }
  return result;
}

void Engine::publish(Event event) {
  {
    std::lock_guard lock(mutex_);
    if (std::holds_alternative<Preview>(event.payload)) {
      std::erase_if(events_, [&](const Event& e) { return e.request == event.request && std::holds_alternative<Preview>(e.payload); });
    }
    // Replaced is only progress of the same state directly at the end: a note in between keeps its place in the story,
    // and the last step of every state is seen.
    const Progress* fresh = std::get_if<Progress>(&event.payload);
    const Progress* last = events_.empty() ? nullptr : std::get_if<Progress>(&events_.back().payload);
    if (fresh && last && events_.back().request == event.request && last->state == fresh->state) {
      events_.back() = std::move(event);
    } else {
      events_.push_back(std::move(event));
    }
  }
  if (wakeup_) wakeup_();
}

}  // namespace zt
