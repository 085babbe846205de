# Source this before any stage. It is not optional.
# glibc hands large blocks back to the system and faults them in again at every use; with these three the convolutions run
# ten times faster.
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=34359738368 MALLOC_TOP_PAD_=268435456
# One thread a process, as many processes as cores: on a shared machine two threads wait in barriers for a preempted sibling.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
export TORCHINDUCTOR_COMPILE_THREADS=1
