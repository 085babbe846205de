// The probe as C++ on host execution.
#include "tests/cuda/words/probe.cu"
