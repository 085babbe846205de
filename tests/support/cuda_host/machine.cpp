#include "tests/support/cuda_host/machine.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace zt::cuda_host {
namespace {

constexpr size_t kGuard = 4096;
constexpr unsigned char kGuardByte = 0xa5, kPoison = 0xff;
constexpr uint32_t kMostThreads = 1024;

thread_local Machine* running = nullptr;

// Unwinds the stack of a lane that has failed, so that what lies on it is freed.
struct Abandoned {};

}  // namespace

std::string_view fault_name(FaultKind k) {
  static constexpr std::string_view kNames[] = {"uninit",       "race",       "in_flight", "smem_bounds", "align", "global_bounds",
                                                "global_write", "divergence", "deadlock",  "launch"};
  return kNames[size_t(k)];
}

std::string Where::str() const {
  std::string_view f = file;
  return std::string(f.substr(f.rfind('/') + 1)) + ":" + std::to_string(line);
}

uint64_t Dice::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

Options options_of(uint64_t seed) {
  Options o;
  o.seed = seed;
  o.schedule = seed / 2 % 2 ? Schedule::mixed : Schedule::greedy;
  o.landing = seed == 0 ? Landing::late : seed == 1 ? Landing::early : Landing(seed / 4 % 3);
  return o;
}

Machine::Machine(const Options& options, Memory& memory, Traffic& traffic)
    : options_(options), memory_(memory), traffic_(traffic), dice_(options.seed) {}

Machine::~Machine() = default;

Machine& Machine::current() { return *running; }

void Machine::launch(hw::Grid grid, uint32_t threads, uint32_t shared_size, const std::function<void()>& body) {
  auto refuse = [](const std::string& why) { throw Fault(FaultKind::launch, "launch: " + why); };
  if (threads == 0 || threads > kMostThreads || threads % 32) refuse(std::to_string(threads) + " threads a block");
  if (shared_size > options_.shared_limit) refuse(std::to_string(shared_size) + " bytes of shared memory a block");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) refuse("an empty or too large grid");
  if (running) refuse("a kernel inside a kernel");
  grid_ = grid, threads_ = threads, shared_size_ = shared_size, body_ = &body, ++launch_;
  while (lanes_.size() < threads) lanes_.push_back(std::make_unique<Lane>());
  warps_.resize(threads / 32);
  memory_bytes_.assign(shared_size + 2 * kGuard, kGuardByte);
  shadow_.resize(std::max<size_t>(shadow_.size(), (shared_size + 1) / 2));
  fault_.reset();
  std::vector<uint32_t> order(size_t(grid.x) * grid.y * grid.z);
  std::iota(order.begin(), order.end(), 0u);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[dice_.below(uint32_t(i))]);
  running = this;
  for (uint32_t b : order) {
    block_number_ = b;
    block_ = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
    run_block();
    if (fault_) break;
  }
  running = nullptr;
  if (fault_) throw Fault(*fault_);
}

void Machine::run_block() {
  std::memset(memory_bytes_.data() + kGuard, kPoison, shared_size_);
  first_epoch_ = ++epoch_;
  done_ = waiting_ = 0;
  for (Warp& w : warps_) w.arrived = 0, w.ready = ~0u, w.turn = dice_.below(32), ++w.epoch;
  for (uint32_t i = 0; i < threads_; ++i) {
    Lane& l = *lanes_[i];
    l.copies.clear(), l.landed = 0, l.group = 0;
    l.fiber.prepare(&Machine::lane_main, this);
  }
  lane_ = dice_.below(threads_);
  outside_.switch_to(lanes_[lane_]->fiber);
  traffic_.end_block();
  if (fault_) return;
  for (size_t i = 0; i < kGuard; ++i) {
    if (memory_bytes_[i] != kGuardByte || memory_bytes_[kGuard + shared_size_ + i] != kGuardByte) {
      throw std::logic_error("host execution itself wrote outside shared memory");
    }
  }
}

void Machine::lane_main(void* self) {
  auto* m = static_cast<Machine*>(self);
  try {
    (*m->body_)();
    m->finish_lane();
  } catch (const Abandoned&) {
  }
  // Not inside the handler: nobody would come back to end it.
  m->lanes_[m->lane_]->fiber.switch_to(m->outside_);
}

void Machine::finish_lane() {
  Lane& l = *lanes_[lane_];
  Warp& w = warps_[lane_ / 32];
  if (l.landed < l.copies.size()) fail(FaultKind::in_flight, l.at, "a thread ends with copies that were never waited for");
  if (w.arrived) fail(FaultKind::divergence, w.at, "a lane ends while others of its warp wait for it");
  w.ready &= ~(1u << lane_ % 32), ++done_;
  int next = next_lane(true);
  if (next < 0 && done_ < threads_) fail(FaultKind::deadlock, barrier_, "the rest of the block waits for threads that have ended");
  if (next >= 0) go_on_with(next);
}

int Machine::next_lane(bool same_warp) {
  // The lowest ready lane, counted from the warp's turn on.
  auto of_warp = [&](uint32_t w) {
    uint32_t turn = warps_[w].turn % 32;
    return int(32 * w + (turn + uint32_t(std::countr_zero(std::rotr(warps_[w].ready, int(turn))))) % 32);
  };
  uint32_t own = lane_ / 32, count = uint32_t(warps_.size());
  if (same_warp && warps_[own].ready) return of_warp(own);
  uint32_t first = dice_.below(count);
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t w = (first + i) % count;
    if (warps_[w].ready && w != own) return of_warp(w);
  }
  return -1;
}

void Machine::go_on_with(int lane) {
  Fiber& from = lanes_[lane_]->fiber;
  lane_ = uint32_t(lane);
  from.switch_to(lanes_[lane_]->fiber);
}

// The running lane waits; somebody else will have made it ready when this returns.
void Machine::leave(const Where& at) {
  lanes_[lane_]->at = at;
  warps_[lane_ / 32].ready &= ~(1u << lane_ % 32);
  int next = next_lane(true);
  if (next < 0) fail(FaultKind::deadlock, at, "waits for threads that wait elsewhere or have ended");
  go_on_with(next);
}

void Machine::sync_block(const Where& at) {
  Warp& w = warps_[lane_ / 32];
  if (w.arrived) fail(FaultKind::divergence, at, "at a block barrier while lanes of its warp wait at " + w.at.str());
  if (waiting_ && !(barrier_ == at)) fail(FaultKind::divergence, at, "at a block barrier while others wait at " + barrier_.str());
  barrier_ = at;
  if (done_) fail(FaultKind::deadlock, at, "at a block barrier after threads of the block have ended");
  if (++waiting_ < threads_) return leave(at);
  waiting_ = 0, ++epoch_;
  for (Warp& x : warps_) x.ready = ~0u, x.turn = dice_.below(32);
}

void* const* Machine::meet(const char* word, void* operand, const Where& at) {
  Warp& w = warps_[lane_ / 32];
  if (w.arrived == 0) {
    w.word = word, w.at = at;
  } else if (w.word != word || !(w.at == at)) {
    fail(FaultKind::divergence, at, std::string(word) + " while lanes of its warp are at " + w.word + ", " + w.at.str());
  }
  w.operands[lane_ % 32] = operand;
  if (++w.arrived == 32) return w.operands;
  if (std::has_single_bit(w.ready)) fail(FaultKind::divergence, at, std::string(word) + " without the lanes that wait at a block barrier or have ended");
  leave(at);
  return nullptr;
}

void Machine::part() {
  Warp& w = warps_[lane_ / 32];
  w.arrived = 0, w.ready = ~0u, w.turn = w.turn * 5 + 7;
  if (options_.schedule != Schedule::mixed || dice_.below(8)) return;
  int next = next_lane(false);
  if (next >= 0) go_on_with(next);
}

void Machine::sync_warp(const Where& at) {
  if (!meet("sync_warp", nullptr, at)) return;
  ++warps_[lane_ / 32].epoch;
  part();
}

std::string Machine::name_of(uint32_t lane) const {
  return "thread " + std::to_string(lane) + " (warp " + std::to_string(lane / 32) + ", lane " + std::to_string(lane % 32) + ")";
}

void Machine::fail(FaultKind kind, const Where& at, const std::string& what, int lane) {
  uint32_t who = lane < 0 ? lane_ : uint32_t(lane);
  fault_ = std::make_unique<Fault>(
      kind, std::string(fault_name(kind)) + " at " + at.str() + ": " + what + "; block (" + std::to_string(block_.x) + ", " +
                std::to_string(block_.y) + ", " + std::to_string(block_.z) + "), " + name_of(who));
  throw Abandoned();
}

}  // namespace zt::cuda_host
