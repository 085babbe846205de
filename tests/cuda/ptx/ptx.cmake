# The PTX that nvcc makes of the shipped .cu files, translated into C++ and executed by the host shim: the device half of
# kernels/cuda/common/hw.cuh runs too. Everything above the kernels is the shipped archive itself; below it, in place of the CUDA
# runtime, is support/cuda_ptx/runtime.cpp.
if(NOT ZT_HAVE_CUDA)
  message(STATUS "no CUDA back end: the tests of its PTX (test_cuda_ptx, test_cuda_ptx_mutants) are left out")
  return()
endif()
zt_find(Python3 python3 COMPONENTS Interpreter)
set(ptx_translator ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_ptx/ptx_to_cpp.py)
set(make_ptx ${CMAKE_CUDA_COMPILER} -ptx -arch=compute_80 ${CMAKE_CUDA20_STANDARD_COMPILE_OPTION} ${cuda_flags})
set(make_cpp ${Python3_EXECUTABLE} ${ptx_translator})

# Appends the C++ of a .cu file, a path from the root, to the list `out`.
function(zt_translate_ptx out cu)
  string(REGEX REPLACE "[/.]" "_" name ${cu})
  set(to ${CMAKE_CURRENT_BINARY_DIR}/cuda_ptx/${name})
  add_custom_command(OUTPUT ${to}.cpp BYPRODUCTS ${to}.ptx
    COMMAND ${make_ptx} -I${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${cu} -o ${to}.ptx -MD -MT ${to}.cpp -MF ${to}.d
    COMMAND ${make_cpp} ${to}.ptx ${to}.cpp
    DEPENDS ${CMAKE_SOURCE_DIR}/${cu} ${ptx_translator} DEPFILE ${to}.d VERBATIM)
  # Thousands of statements a function: compiling them takes longer than running them. They reach memory through the shim only.
  set_source_files_properties(${to}.cpp PROPERTIES COMPILE_OPTIONS "-Og;-w;-fno-sanitize=all" SKIP_PRECOMPILE_HEADERS ON)
  set(${out} ${${out}} ${to}.cpp PARENT_SCOPE)
endfunction()

set(translated "")
foreach(cu ${cuda_kernels} tests/cuda/words/probe.cu)
  zt_translate_ptx(translated ${cu})
endforeach()

set(arithmetic ${CMAKE_CURRENT_BINARY_DIR}/cuda_ptx/arithmetic.cpp)
add_custom_command(OUTPUT ${arithmetic} COMMAND ${make_cpp} ${CMAKE_CURRENT_SOURCE_DIR}/cuda/ptx/arithmetic.ptx ${arithmetic}
  DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/ptx/arithmetic.ptx ${ptx_translator} VERBATIM)
set_source_files_properties(${arithmetic} PROPERTIES COMPILE_OPTIONS "-O0;-w;-fno-sanitize=all" SKIP_PRECOMPILE_HEADERS ON)

# What starts the probe; the other launchers are in the archive.
add_library(zt_cuda_ptx_launch OBJECT cuda/words/probe.cu)
target_link_libraries(zt_cuda_ptx_launch PRIVATE zt_cuda_flags)
set_target_properties(zt_cuda_ptx_launch PROPERTIES CUDA_ARCHITECTURES 80-virtual)

add_library(zt_cuda_ptx STATIC support/cuda_ptx/runtime.cpp support/cuda_ptx/words.cpp)
target_link_libraries(zt_cuda_ptx PUBLIC zt_cuda_host)
target_include_directories(zt_cuda_ptx SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})

zt_test(cuda/ptx LINK zt_cuda_host_ops zt_cuda_ops)
target_sources(test_cuda_ptx PRIVATE ${translated} ${arithmetic} $<TARGET_OBJECTS:zt_cuda_ptx_launch> cuda/words/expected.cpp
  cuda/host/words_test.cpp cuda/host/attention_test.cpp cuda/host/attention_host.cpp cuda/host/targets.cpp cuda/host/ops_test.cpp
  kernels/attention_support.cpp kernels/attention_naive.cpp kernels/plan_random.cpp)
target_include_directories(test_cuda_ptx BEFORE PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_host)
# Without what it links, the CUDA runtime.
add_dependencies(test_cuda_ptx zt_kernels_cuda)
target_include_directories(test_cuda_ptx SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
target_compile_definitions(test_cuda_ptx PRIVATE ZT_PTX_TRANSLATOR="${Python3_EXECUTABLE} ${ptx_translator}")
target_link_libraries(test_cuda_ptx PRIVATE $<TARGET_FILE:zt_kernels_cuda> zt_cuda_ptx zt_kernels_ref)

# Broken words of the device half: nvcc, the translator and the C++ compiler for each.
add_library(zt_cuda_ptx_mutant_launch OBJECT cuda/mutants/kernels.cu)
target_link_libraries(zt_cuda_ptx_mutant_launch PRIVATE zt_cuda_flags)
set_target_properties(zt_cuda_ptx_mutant_launch PROPERTIES CUDA_ARCHITECTURES 80-virtual)
list(JOIN make_ptx " " ptx_command)
list(JOIN make_cpp " " cpp_command)
zt_mutants(cuda_ptx_mutants ptx_mutants.txt 12
  "${ptx_command} -I$1 -I${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/cuda/mutants/kernels.cu -o $1/kernels.ptx\n\
${cpp_command} $1/kernels.ptx $1/kernels.cpp\n\
${CMAKE_CXX_COMPILER} -O0 ${mutant_flags} $1/kernels.cpp $<TARGET_OBJECTS:zt_cuda_ptx_mutant_launch> $<TARGET_FILE:zt_cuda_mutants> $<TARGET_FILE:zt_kernels_cuda> \
$<TARGET_FILE:zt_cuda_ptx>${mutant_boxes} -o $1/mutant\n")
add_dependencies(test_cuda_ptx_mutants zt_cuda_ptx_mutant_launch zt_cuda_ptx zt_kernels_cuda)
