// What the probe reads and writes.
#pragma once

namespace zt::testing {

// Rows of 32 words, one a lane.
enum ProbeIn : int { kA, kB = kA + 4, kAHalf = kB + 2, kBHalf = kAHalf + 4, kC = kBHalf + 2, kX = kC + 4, kY, kProbeIns };
enum ProbeOut : int {
  kMmaBf16,
  kMmaF16 = kMmaBf16 + 4,
  kLdsm = kMmaF16 + 4,
  kLdsmT = kLdsm + 4,
  kShflXor = kLdsmT + 4,
  kShfl,
  kShflUp,
  kAny,
  kBallot,
  kCopied,
  kZeroed,
  kPackBf16,
  kPackF16,
  kFromBf16,
  kFromF16,
  kToBf16,
  kToF16,
  kExp2,
  kLog2,
  kRcp,
  kRsqrt,
  kSqrt,
  kDiv,
  kFma,
  kMax,
  kMin,
  kPopc,
  kShared2,
  kShared8,
  kShared16,
  kAtomicShared,
  kPlace,
  kProbeOuts
};

}  // namespace zt::testing
