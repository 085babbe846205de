// What a program of ours does to its process before anything else.
#pragma once

namespace zt {

// Compute threads that wait for each other spin by default for milliseconds. On a machine with other work a sibling that
// lost its core makes all others burn theirs: a render took ten times as long. A short spin costs nothing on a quiet machine.
// The OpenMP runtime reads its settings when it is loaded, before main, so the program starts itself once more; where it
// cannot, renders are only slower. Nothing happens where the user has said how to wait.
void restart_with_short_spins(char** argv);

// Tensors and frames go back to the system when they are freed, so that what a job takes is what its estimate says. By itself the
// C library raises, with every large block freed, the size from which it maps blocks of their own, up to 32 MiB; what is below
// stays with the process in pieces.
void give_memory_back();

// Libraries that would print on their own say nothing.
void quiet_libraries();

}  // namespace zt
