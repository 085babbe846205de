# The CUDA language, where a toolkit is found; everything else builds without it. Sets ZT_HAVE_CUDA.
# Included at the top: languages must be enabled there for all folders that use them.
option(ZT_CUDA "kernels for NVIDIA cards, if a CUDA toolkit is found" ON)
# Every card from Ampere on, and PTX for those to come.
set(ZT_CUDA_ARCHITECTURES "80-real;86-real;89-real;90-real;120-real;120-virtual" CACHE STRING "what the CUDA kernels are compiled for")
set(ZT_HAVE_CUDA OFF)
if(NOT ZT_CUDA)
  return()
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "no CUDA compiler: zoetrope is built without its CUDA back end")
  return()
endif()
set(CMAKE_CUDA_ARCHITECTURES ${ZT_CUDA_ARCHITECTURES})
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# CMake 3.25 does not know that nvcc has C++20, and its own -std=c++17 would silently win over one added by hand.
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(ZT_HAVE_CUDA ON)

# Flags of CUDA sources, the counterpart of zt_flags. Its own host code is small: it carries no warnings of generated stubs.
add_library(zt_cuda_flags INTERFACE)
target_include_directories(zt_cuda_flags INTERFACE ${CMAKE_SOURCE_DIR})
# FMT_USE_CONSTEXPR: fmt 9 takes it away from nvcc, but not its consteval, which then has nothing constant to call.
set(cuda_flags --expt-relaxed-constexpr -DFMT_USE_CONSTEXPR=1 -Xcompiler=-fPIE,-fno-math-errno,-ffp-contract=off -Xptxas=--warn-on-spills
  $<$<BOOL:${ZT_WERROR}>:-Werror=all-warnings>)
target_compile_options(zt_cuda_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>")
