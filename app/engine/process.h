// What a program of ours does to its process before anything else.
#pragma once

namespace zt {

// Compute threads that wait for each other spin by default for milliseconds. On a machine with other work a sibling that
// lost its core makes all others burn theirs: a render took ten times as long. A short spin costs nothing on a quiet machine.
// The OpenMP runtime reads its settings when it is loaded, before main, so the program starts itself once more; where it
// cannot, renders are only slower. Nothing happens where the user has said how to wait.
void restart_with_short_spins(char** argv);

// Libraries that would print on their own say nothing.
void quiet_libraries();

}  // namespace zt
