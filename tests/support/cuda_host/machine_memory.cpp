// Accesses to memory: bounds, alignment, order, copies in flight.
#include <cstring>

#include "tests/support/cuda_host/machine.h"

namespace zt::cuda_host {
namespace {

constexpr size_t kGuard = 4096;
constexpr unsigned char kPoison = 0xff;

std::string hex(uint64_t x) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(x));
  return text;
}

}  // namespace

Actor Machine::actor(uint32_t lane) const { return {lane, lane / 32, epoch_, warps_[lane / 32].epoch, false}; }

unsigned char* Machine::shared(hw::saddr a, uint32_t bytes, const Where& at, int lane) {
  if (a.at > shared_size_ || shared_size_ - a.at < bytes) {
    fail(FaultKind::smem_bounds, at, hex(a.at) + " of " + hex(shared_size_) + " bytes of shared memory", lane);
  }
  if (a.at % bytes) fail(FaultKind::align, at, hex(a.at) + " in shared memory is no multiple of " + std::to_string(bytes), lane);
  return memory_bytes_.data() + kGuard + a.at;
}

void Machine::refuse_read(const Shadow& s, hw::saddr a, const Where& at, int lane) {
  if (!s.written_since(first_epoch_)) fail(FaultKind::uninit, at, hex(a.at) + " in shared memory was never written", lane);
  if (s.in_flight) fail(FaultKind::in_flight, at, "reads " + hex(a.at) + ", where a copy by " + name_of(s.writer) + " has not landed", lane);
  fail(FaultKind::race, at, "reads " + hex(a.at) + ", which " + name_of(s.writer) + " wrote without a barrier since", lane);
}

void Machine::refuse_write(const Shadow& s, const Actor& who, hw::saddr a, const Where& at) {
  if (s.written_since(first_epoch_) && s.in_flight) {
    fail(FaultKind::in_flight, at, "writes " + hex(a.at) + ", where a copy by " + name_of(s.writer) + " has not landed");
  }
  if (s.conflicts_with_write(who)) {
    fail(FaultKind::race, at, "writes " + hex(a.at) + ", which " + name_of(s.writer) + " wrote without a barrier since");
  }
  fail(FaultKind::race, at, "writes " + hex(a.at) + ", which " + name_of(s.reader) + " read without a barrier since");
}

void Machine::read_cells(hw::saddr a, uint32_t bytes, const Where& at, int lane, bool whole_warp) {
  Actor who = actor(lane < 0 ? lane_ : uint32_t(lane));
  who.whole_warp = whole_warp;
  for (uint32_t i = 0; i < bytes; i += 2) {
    Shadow& s = shadow_[(a.at + i) / 2];
    if (!s.written_since(first_epoch_) || s.in_flight || s.conflicts_with_write(who)) [[unlikely]] refuse_read(s, a + i, at, lane);
    s.note_read(who);
  }
}

void Machine::write_cells(hw::saddr a, uint32_t bytes, const Where& at, bool in_flight) {
  Actor who = actor(lane_);
  for (uint32_t i = 0; i < bytes; i += 2) {
    Shadow& s = shadow_[(a.at + i) / 2];
    if ((s.in_flight && s.written_since(first_epoch_)) || s.conflicts_with_write(who) || s.conflicts_with_read(who)) [[unlikely]] {
      refuse_write(s, who, a + i, at);
    }
    s.note_write(who);
    s.in_flight = in_flight;
  }
}

unsigned char* Machine::load_shared(hw::saddr a, uint32_t bytes, const Where& at) {
  unsigned char* p = shared(a, bytes, at, -1);
  read_cells(a, bytes, at, -1, false);
  if (options_.count_traffic) traffic_.note(Port::shared_load, at, lane_ / 32, lane_ % 32, a.at, bytes);
  return p;
}

unsigned char* Machine::store_shared(hw::saddr a, uint32_t bytes, const Where& at) {
  unsigned char* p = shared(a, bytes, at, -1);
  write_cells(a, bytes, at, false);
  if (options_.count_traffic) traffic_.note(Port::shared_store, at, lane_ / 32, lane_ % 32, a.at, bytes);
  return p;
}

// Atomics of several threads are in order among themselves.
unsigned char* Machine::atomic_shared(hw::saddr a, uint32_t bytes, const Where& at) {
  unsigned char* p = shared(a, bytes, at, -1);
  Actor who = actor(lane_);
  for (uint32_t i = 0; i < bytes; i += 2) {
    Shadow& s = shadow_[(a.at + i) / 2];
    if (!s.written_since(first_epoch_)) fail(FaultKind::uninit, at, hex(a.at) + " in shared memory was never written");
    bool chained = s.atomic && s.write_epoch == epoch_;
    if ((!chained && (s.in_flight || s.conflicts_with_write(who))) || s.conflicts_with_read(who)) refuse_write(s, who, a + i, at);
    s.note_write(who);
    s.atomic = true;
  }
  return p;
}

const unsigned char* Machine::matrix_row(hw::saddr a, int lane, const Where& at) {
  unsigned char* p = shared(a, 16, at, lane);
  read_cells(a, 16, at, lane, true);
  return p;
}

unsigned char* Machine::global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at) {
  if (!a) fail(FaultKind::global_bounds, at, hex(p) + " belongs to no allocation");
  auto begin = reinterpret_cast<uintptr_t>(a->data);
  if (p < begin || p + bytes > begin + a->bytes) {
    fail(FaultKind::global_bounds, at, "byte " + std::to_string(int64_t(p - begin)) + " of '" + a->name + "', which has " +
                                           std::to_string(a->bytes));
  }
  if (p % bytes) fail(FaultKind::align, at, "byte " + std::to_string(p - begin) + " of '" + a->name + "' is no multiple of " + std::to_string(bytes));
  return reinterpret_cast<unsigned char*>(p);
}

const unsigned char* Machine::load_global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at) {
  unsigned char* data = global(a, p, bytes, at);
  if (options_.count_traffic) traffic_.note(Port::global_load, at, lane_ / 32, lane_ % 32, p, bytes);
  Actor who = actor(lane_);
  for (size_t i = size_t(data - a->data) / a->granule; !a->shadow.empty() && i * a->granule < size_t(data - a->data) + bytes; ++i) {
    GlobalShadow& s = a->shadow[i];
    bool written = s.write_launch == launch_;
    if (written && s.write_block != block_number_) {
      fail(FaultKind::global_write, at, "reads what block " + std::to_string(s.write_block) + " writes in this launch: '" + a->name + "'");
    }
    if (written && s.block.conflicts_with_write(who)) {
      fail(FaultKind::race, at, "reads '" + a->name + "', which " + name_of(s.block.writer) + " wrote without a barrier since");
    }
    s.block.note_read(who);
    s.several_blocks = s.read_launch == launch_ && (s.several_blocks || s.read_block != block_number_);
    s.read_launch = launch_, s.read_block = block_number_;
  }
  return data;
}

unsigned char* Machine::store_global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at) {
  unsigned char* data = global(a, p, bytes, at);
  if (a->access == Access::constant) fail(FaultKind::global_write, at, "writes constant data: '" + a->name + "'");
  if (options_.count_traffic) traffic_.note(Port::global_store, at, lane_ / 32, lane_ % 32, p, bytes);
  Actor who = actor(lane_);
  for (size_t i = size_t(data - a->data) / a->granule; i * a->granule < size_t(data - a->data) + bytes; ++i) {
    GlobalShadow& s = a->shadow[i];
    if (s.write_launch == launch_ && (a->access == Access::once || s.write_block != block_number_)) {
      fail(FaultKind::global_write, at, "writes an element of '" + a->name + "' that block " + std::to_string(s.write_block) +
                                            " has written in this launch");
    }
    if (s.read_launch == launch_ && (s.several_blocks || s.read_block != block_number_)) {
      fail(FaultKind::global_write, at, "writes an element of '" + a->name + "' that another block reads in this launch");
    }
    if ((s.write_launch == launch_ && s.block.conflicts_with_write(who)) || (s.read_launch == launch_ && s.block.conflicts_with_read(who))) {
      fail(FaultKind::race, at, "writes '" + a->name + "', which another thread touched without a barrier since");
    }
    s.block.note_write(who);
    s.write_launch = launch_, s.write_block = block_number_, s.atomic = false;
  }
  return data;
}

// Additions of several blocks and threads are in order among themselves, but not with plain accesses.
unsigned char* Machine::atomic_global(Allocation* a, uintptr_t p, uint32_t bytes, const Where& at) {
  unsigned char* data = global(a, p, bytes, at);
  if (a->access == Access::constant) fail(FaultKind::global_write, at, "writes constant data: '" + a->name + "'");
  for (size_t i = size_t(data - a->data) / a->granule; i * a->granule < size_t(data - a->data) + bytes; ++i) {
    GlobalShadow& s = a->shadow[i];
    if ((s.write_launch == launch_ && !s.atomic) || s.read_launch == launch_) {
      fail(FaultKind::global_write, at, "adds to an element of '" + a->name + "' that this launch also reads or writes plainly");
    }
    s.block.note_write(actor(lane_));
    s.write_launch = launch_, s.write_block = block_number_, s.atomic = true;
  }
  return data;
}

void Machine::copy_async(hw::saddr to, Allocation* a, uintptr_t from, bool keep, const Where& at) {
  unsigned char* target = shared(to, 16, at, -1);
  const unsigned char* source = keep ? load_global(a, from, 16, at) : nullptr;
  if (options_.count_traffic) traffic_.note(Port::copy_store, at, lane_ / 32, lane_ % 32, to.at, 16);
  write_cells(to, 16, at, true);
  std::memset(target, kPoison, 16);
  Lane& l = *lanes_[lane_];
  l.at = at;
  Copy c{to.at, l.group, source, false};
  bool early = options_.landing == Landing::early || (options_.landing == Landing::random && dice_.below(2));
  if (early) {
    if (source) std::memcpy(target, source, 16);
    else std::memset(target, 0, 16);
    c.landed = true;
  }
  l.copies.push_back(c);
}

void Machine::commit_copies() { ++lanes_[lane_]->group; }

void Machine::land(Copy& c) {
  unsigned char* target = memory_bytes_.data() + kGuard + c.to;
  if (!c.landed && c.from) std::memcpy(target, c.from, 16);
  if (!c.landed && !c.from) std::memset(target, 0, 16);
  Actor who = actor(lane_);
  for (uint32_t i = 0; i < 16; i += 2) shadow_[(c.to + i) / 2].note_write(who);
}

void Machine::wait_copies(uint32_t newest, const Where& at) {
  Lane& l = *lanes_[lane_];
  l.at = at;
  while (l.landed < l.copies.size() && l.copies[l.landed].group + newest < l.group) land(l.copies[l.landed++]);
  if (l.landed == l.copies.size()) l.copies.clear(), l.landed = 0;
}

}  // namespace zt::cuda_host
