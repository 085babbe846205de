// Executes the blocks of a launch one after another, each thread on a stack of its own, under checks. What a GPU leaves open is
// chosen by a seed: the order of blocks, warps and lanes, and when asynchronous copies land. A right kernel gives equal bits
// under all choices.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/cuda/common/types.h"
#include "tests/support/cuda_host/fault.h"
#include "tests/support/cuda_host/fiber.h"
#include "tests/support/cuda_host/memory.h"
#include "tests/support/cuda_host/shadow.h"
#include "tests/support/cuda_host/traffic.h"

namespace zt::cuda_host {

enum class Schedule : uint8_t {
  greedy,  // a warp runs until it must wait
  mixed    // now and then another one goes on
};
enum class Landing : uint8_t { late, early, random };  // of copies: at the wait, at once, or either

struct Options {
  uint64_t seed = 1;
  Schedule schedule = Schedule::greedy;
  Landing landing = Landing::late;
  bool count_traffic = false;            // per-lane accesses too; matrix loads are always counted
  uint32_t shared_limit = 227 * 1024;  // of a block
};

// Everything by the seed. Seeds 0 and 1 land late and early.
Options options_of(uint64_t seed);

// splitmix64
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint32_t below(uint32_t n) { return uint32_t((uint64_t(uint32_t(next() >> 32)) * n) >> 32); }

 private:
  uint64_t next();
  uint64_t state_;
};

class Machine {
 public:
  Machine(const Options& options, Memory& memory, Traffic& traffic);
  ~Machine();
  // The one that runs a kernel on this OS thread.
  static Machine& current();

  // Throws a Fault; the launch is then abandoned.
  void launch(hw::Grid grid, uint32_t threads, uint32_t shared_size, const std::function<void()>& body);

  uint32_t launches() const { return launch_; }  // so far

  uint32_t thread() const { return lane_; }
  hw::Grid block() const { return block_; }
  hw::Grid grid() const { return grid_; }

  // Barriers and meetings. meet() returns the operands of all lanes to the last one that comes, which does the work for all and
  // calls part(); the others return from it with null once that is done.
  void sync_block(const Where& at);
  void sync_warp(const Where& at);
  void* const* meet(const char* word, void* operand, const Where& at);
  void part();

  // Checked addresses. `lane`: of the running warp, whom an access is charged to; the running one if negative.
  unsigned char* load_shared(hw::saddr a, uint32_t bytes, const Where& at);
  unsigned char* store_shared(hw::saddr a, uint32_t bytes, const Where& at);
  unsigned char* atomic_shared(hw::saddr a, uint32_t bytes, const Where& at);
  const unsigned char* matrix_row(hw::saddr a, int lane, const Where& at);
  const unsigned char* load_global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at);
  unsigned char* store_global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at);
  unsigned char* atomic_global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at);

  void copy_async(hw::saddr to, Allocation* a, uintptr_t from, bool keep, const Where& at);
  void commit_copies();
  void wait_copies(uint32_t newest, const Where& at);

  Traffic& traffic() { return traffic_; }
  Memory& memory() { return memory_; }
  [[noreturn]] void fail(FaultKind kind, const Where& at, const std::string& what, int lane = -1);

 private:
  struct Copy {
    uint32_t to, group;
    const unsigned char* from;  // null: zeros
    bool landed;
  };
  struct Lane {
    Fiber fiber;
    void* operand = nullptr;
    Where at;
    std::vector<Copy> copies;  // from `landed` on not waited for
    size_t landed = 0;
    uint32_t group = 0;  // open
  };
  struct Warp {
    uint32_t arrived = 0, turn = 0, epoch = 1;
    uint32_t ready = ~0u;  // lanes, as bits
    const char* word = nullptr;
    Where at;
    void* operands[32] = {};
  };

  static void lane_main(void* self);
  void run_block();
  void finish_lane();
  // The next lane that can go on, of this warp first, or only of others; -1: nobody.
  int next_lane(bool same_warp);
  void go_on_with(int lane);
  void leave(const Where& at);
  Actor actor(uint32_t lane) const;
  unsigned char* shared(hw::saddr a, uint32_t bytes, const Where& at, int lane);
  [[noreturn]] void refuse_read(const Shadow& s, hw::saddr a, const Where& at, int lane);
  [[noreturn]] void refuse_write(const Shadow& s, const Actor& who, hw::saddr a, const Where& at);
  void read_cells(hw::saddr a, uint32_t bytes, const Where& at, int lane, bool whole_warp);
  void write_cells(hw::saddr a, uint32_t bytes, const Where& at, bool in_flight);
  unsigned char* global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at);
  void land(Copy& c);
  std::string name_of(uint32_t lane) const;

  const Options options_;
  Memory& memory_;
  Traffic& traffic_;
  Dice dice_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Warp> warps_;
  std::vector<unsigned char> memory_bytes_;  // shared memory between guards
  std::vector<Shadow> shadow_;
  Fiber outside_;
  std::unique_ptr<Fault> fault_;
  const std::function<void()>* body_ = nullptr;
  hw::Grid grid_, block_;
  uint32_t threads_ = 0, shared_size_ = 0, lane_ = 0, done_ = 0, waiting_ = 0;
  Where barrier_;
  uint32_t epoch_ = 1, first_epoch_ = 1, launch_ = 0, block_number_ = 0;
};

}  // namespace zt::cuda_host
