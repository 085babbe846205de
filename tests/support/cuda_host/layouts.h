// Which element of a matrix a lane's register holds, as the PTX manual draws it (g = lane / 4, t = lane % 4). The root of trust
// of host execution: used by it, by the self-test on a device, and by nothing else; a test holds it against CUTLASS's traits.
#pragma once

namespace zt::cuda_host {

struct Element {
  int row, column;
  constexpr bool operator==(const Element&) const = default;
};

// mma.m16n8k16, 16-bit operands: element i of 8 of A [16, 16], of 4 of B [16 (k), 8 (n)], of 4 of C and D [16, 8].
constexpr Element mma_a(int lane, int i) { return {lane / 4 + 8 * (i >> 1 & 1), 2 * (lane % 4) + (i & 1) + 8 * (i / 4)}; }
constexpr Element mma_b(int lane, int i) { return {2 * (lane % 4) + (i & 1) + 8 * (i / 2), lane / 4}; }
constexpr Element mma_c(int lane, int i) { return {lane / 4 + 8 * (i / 2), 2 * (lane % 4) + (i & 1)}; }

// ldmatrix: element i of 2 in any of a lane's registers, in the 8x8 matrix the register belongs to.
constexpr Element ldsm(int lane, int i, bool transposed) {
  return transposed ? Element{2 * (lane % 4) + i, lane / 4} : Element{lane / 4, 2 * (lane % 4) + i};
}
// The lane that gives the address of a row of matrix j.
constexpr int ldsm_address_lane(int matrix, int row) { return 8 * matrix + row; }

}  // namespace zt::cuda_host
