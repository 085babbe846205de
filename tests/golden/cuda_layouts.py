"""Writes cuda_layouts.txt: which element of a matrix each lane's registers hold, as CUTLASS's public traits say it.

    pip install nvidia-cutlass==4.2.0.0; python tests/golden/cuda_layouts.py /usr/local/cuda/include [folder with cutlass/ and cute/]

The traits are C++ templates: a small program that prints them is compiled with g++ against the package's headers and the
toolkit's. A line a table: its name, then numbers, lane after lane. Elements of A are numbered m + 16 k, of B n + 8 k, of C m + 16 n
(SM80_16x8x16_F32BF16BF16F32_TN). Of ldmatrix, bits of the 32 rows of 128: where each address lane's row begins, and where each
element of the destination registers comes from (SM75_U32x4_LDSM_N, SM75_U16x8_LDSM_T). Of Swizzle<3, 4, 3>, byte offsets of the
chunks of 16 rows of 128 bytes.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile

PROGRAM = r"""
#include <cstdio>
#include <cute/atom/mma_traits_sm80.hpp>
#include <cute/atom/copy_traits_sm75.hpp>
#include <cute/swizzle.hpp>
using namespace cute;
template <class Layout>
void print_lanes(const char* name, Layout const& l, int lanes, int values) {
  std::printf("%s", name);
  for (int lane = 0; lane < lanes; ++lane)
    for (int v = 0; v < values; ++v) std::printf(" %d", int(l(lane, v)));
  std::printf("\n");
}
int main() {
  using M = MMA_Traits<SM80_16x8x16_F32BF16BF16F32_TN>;
  print_lanes("mma_a", M::ALayout{}, 32, 8);
  print_lanes("mma_b", M::BLayout{}, 32, 4);
  print_lanes("mma_c", M::CLayout{}, 32, 4);
  using N = Copy_Traits<SM75_U32x4_LDSM_N>;
  using T = Copy_Traits<SM75_U16x8_LDSM_T>;
  auto source = [](auto traits) {
    using Tr = decltype(traits);
    for (int row = 0; row < 32; ++row) std::printf(" %d", int(typename Tr::SrcLayout{}(row, 0)));
  };
  std::printf("ldsm_n_source"); source(N{}); std::printf("\n");
  std::printf("ldsm_t_source"); source(T{}); std::printf("\n");
  auto target = [](auto traits) {
    using Tr = decltype(traits);
    for (int lane = 0; lane < 32; ++lane)
      for (int e = 0; e < 8; ++e) std::printf(" %d", int(typename Tr::DstLayout{}(lane, e * 16)));
  };
  std::printf("ldsm_n_target"); target(N{}); std::printf("\n");
  std::printf("ldsm_t_target"); target(T{}); std::printf("\n");
  Swizzle<3, 4, 3> s;
  std::printf("swizzle");
  for (int byte = 0; byte < 2048; byte += 16) std::printf(" %d", int(s(byte)));
  std::printf("\n");
}
"""


def cutlass_folder():
    spec = importlib.util.find_spec("cutlass_library")
    return os.path.join(os.path.dirname(spec.origin), "source", "include")


def main():
    toolkit = sys.argv[1]
    cutlass = sys.argv[2] if len(sys.argv) > 2 else cutlass_folder()
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "print.cpp"), os.path.join(folder, "print")
        with open(source, "w") as f:
            f.write(PROGRAM)
        subprocess.run(["g++", "-std=c++17", "-w", "-I" + cutlass, "-I" + toolkit, "-I" + os.path.join(toolkit, "cccl"),
                        source, "-o", program], check=True)
        text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cuda_layouts.txt"), "w") as f:
        f.write(text)


if __name__ == "__main__":
    main()
