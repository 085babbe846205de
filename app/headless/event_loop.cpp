#include "app/headless/event_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

namespace zt {

EventLoop::EventLoop() {
  sigset_t stop;
  sigemptyset(&stop);
  for (int s : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&stop, s);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  signals_ = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
  wakeups_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

EventLoop::~EventLoop() {
  if (signals_ >= 0) close(signals_);
  if (wakeups_ >= 0) close(wakeups_);
}

std::function<void()> EventLoop::wakeup() const {
  return [fd = wakeups_] {
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);  // full means a wakeup is pending already
  };
}

int EventLoop::wait(int timeout_ms) {
  pollfd fds[2] = {{wakeups_, POLLIN, 0}, {signals_, POLLIN, 0}};
  (void)poll(fds, 2, timeout_ms);
  uint64_t count = 0;
  (void)!read(wakeups_, &count, sizeof count);
  int stops = 0;
  signalfd_siginfo info;
  while (read(signals_, &info, sizeof info) == ssize_t(sizeof info)) ++stops;
  return stops;
}

}  // namespace zt
