#include <bit>

#include "kernels/plan/attention_plan.h"
#include "kernels/plan/sha256.h"

namespace zt {
namespace {

// Canonical bytes: every number as a 64-bit little-endian word, every list with its name and length before it. Floats
// by their bits. Buffered, as a plan of a long clip has millions of numbers.
class Canonical {
 public:
  void text(std::string_view s) {
    number(int64_t(s.size()));
    flush();
    sha_.add(s);
  }
  void number(int64_t v) {
    for (int i = 0; i < 8; ++i) buffer_[used_ + size_t(i)] = uint8_t(uint64_t(v) >> (8 * i));
    if ((used_ += 8) == sizeof buffer_) flush();
  }
  template <class T>
  void list(std::string_view name, const std::vector<T>& v) {
    text(name);
    number(int64_t(v.size()));
    for (const T& x : v) {
      if constexpr (std::is_same_v<T, float>) {
        number(std::bit_cast<int32_t>(x));
      } else {
        number(int64_t(x));
      }
    }
  }
  PlanHash finish() {
    flush();
    return sha_.finish();
  }

 private:
  void flush() {
    sha_.add(buffer_, used_);
    used_ = 0;
  }
  Sha256 sha_;
  uint8_t buffer_[4096];
  size_t used_ = 0;
};

void add_blocks(Canonical& c, std::string_view name, const Blocks& b) {
  c.number(b.block);
  c.list(name, b.valid);
}

// The inverse follows from the order.
void add_order(Canonical& c, std::string_view name, const TokenOrder& o) {
  c.number(o.sets);
  c.list(name, o.order);
  c.list("heads", o.head_set);
}

}  // namespace

PlanHash AttentionPlan::hash() const {
  Canonical c;
  c.text("zoetrope attention plan 1");
  c.number(p_.heads);
  add_blocks(c, "q", p_.q);
  add_blocks(c, "k", p_.k);
  c.number(p_.dense);
  c.list("rows", p_.row_offsets);
  c.list("cols", p_.cols);
  c.list("bias", p_.k_bias);
  c.list("heads", p_.head_set);
  c.list("mask of", p_.mask_of);
  c.list("masks", p_.mask_words);
  add_order(c, "q order", p_.q_order);
  add_order(c, "k order", p_.k_order);
  c.number(p_.valid_until);
  c.number(p_.linear.has_value());
  if (p_.linear) {
    const LinearPart& l = *p_.linear;
    for (int64_t v : {int64_t(l.scope), int64_t(l.feature), int64_t(l.projection), int64_t(l.blend)}) c.number(v);
    c.list("alpha", l.alpha);
    c.list("linear rows", l.row_offsets);
    c.list("linear cols", l.cols);
  }
  return c.finish();
}

std::string hex(const PlanHash& h) {
  std::string s;
  for (uint8_t b : h) s += fmt::format("{:02x}", b);
  return s;
}

}  // namespace zt
