// What is known of two bytes of memory: who wrote them last and who has read them since. Two accesses by different threads of a
// block, at least one a write, are ordered only if a block barrier lies between them, or, within a warp, a warp barrier. All
// threads pass a block barrier together, so comparing counts of barriers finds a missing one whatever the order of threads was.
#pragma once

#include <cstdint>

namespace zt::cuda_host {

// Who accesses, and when. Epochs only grow, over blocks and launches too.
struct Actor {
  uint32_t thread = 0, warp = 0;
  uint32_t epoch = 0;       // block barriers passed
  uint32_t warp_epoch = 0;  // warp barriers passed
  bool whole_warp = false;  // all lanes read what this one addresses
};

struct Shadow {
  uint32_t write_epoch = 0, write_warp_epoch = 0;
  uint32_t read_epoch = 0, read_warp_epoch = 0;
  uint32_t read_warps = 0;  // in read_epoch
  uint16_t writer = 0, reader = 0;
  bool several_readers = false;  // threads, in the warp epoch of the last read
  bool in_flight = false;        // a copy by `writer` is on its way
  bool atomic = false;           // the last write was an atomic one

  bool written_since(uint32_t epoch) const { return write_epoch >= epoch; }
  // Whether a write by another thread is not ordered before this access.
  bool conflicts_with_write(const Actor& a) const {
    if (write_epoch != a.epoch || (writer == a.thread && !a.whole_warp)) return false;
    return writer / 32 != a.warp || write_warp_epoch == a.warp_epoch;
  }
  // Whether a read by another thread is not ordered before this write.
  bool conflicts_with_read(const Actor& a) const {
    if (read_epoch != a.epoch) return false;
    if (read_warps & ~(1u << a.warp)) return true;
    return read_warp_epoch == a.warp_epoch && (several_readers || reader != a.thread);
  }
  void note_read(const Actor& a) {
    if (read_epoch != a.epoch) read_epoch = a.epoch, read_warps = 0;
    bool joins = (read_warps >> a.warp & 1) && read_warp_epoch == a.warp_epoch;
    several_readers = a.whole_warp || (joins && (several_readers || reader != a.thread));
    read_warps |= 1u << a.warp, read_warp_epoch = a.warp_epoch, reader = uint16_t(a.thread);
  }
  void note_write(const Actor& a) {
    write_epoch = a.epoch, write_warp_epoch = a.warp_epoch, writer = uint16_t(a.thread);
    read_epoch = 0, in_flight = atomic = false;
  }
};

}  // namespace zt::cuda_host
