# The PTX that nvcc makes of the shipped .cu files, translated into C++ and executed by the host shim: the device half of
# kernels/cuda/common/hw.cuh runs too. Everything above the kernels is the shipped archive itself; below it, in place of the CUDA
# runtime, is support/cuda_ptx/runtime.cpp.
if(NOT ZT_HAVE_CUDA)
  message(STATUS "no CUDA compiler: the tests of translated PTX (test_cuda_ptx) are left out")
  return()
endif()
zt_find(Python3 python3 COMPONENTS Interpreter)
set(ptx_translator ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_ptx/ptx_to_cpp.py)

# Appends the C++ of a .cu file, a path from the root, to the list `out`.
function(zt_translate_ptx out cu)
  string(REGEX REPLACE "[/.]" "_" name ${cu})
  set(to ${CMAKE_CURRENT_BINARY_DIR}/cuda_ptx/${name})
  add_custom_command(OUTPUT ${to}.cpp BYPRODUCTS ${to}.ptx
    COMMAND ${CMAKE_CUDA_COMPILER} -ptx -arch=compute_80 ${CMAKE_CUDA20_STANDARD_COMPILE_OPTION} ${cuda_flags} -I${CMAKE_SOURCE_DIR}
            ${CMAKE_SOURCE_DIR}/${cu} -o ${to}.ptx -MD -MT ${to}.cpp -MF ${to}.d
    COMMAND ${Python3_EXECUTABLE} ${ptx_translator} ${to}.ptx ${to}.cpp
    DEPENDS ${CMAKE_SOURCE_DIR}/${cu} ${ptx_translator} DEPFILE ${to}.d COMMENT "Translating PTX of ${cu}" VERBATIM)
  # Thousands of statements a function: more optimisation takes minutes.
  set_source_files_properties(${to}.cpp PROPERTIES COMPILE_OPTIONS "-O1;-w")
  set(${out} ${${out}} ${to}.cpp PARENT_SCOPE)
endfunction()

set(translated "")
foreach(cu attention/instances/forward_small_bf16.cu attention/instances/forward_wide_bf16.cu attention/instances/forward_small_f16.cu
        attention/instances/linear.cu attention/instances/order.cu ops/table.cu)
  zt_translate_ptx(translated kernels/cuda/${cu})
endforeach()
zt_translate_ptx(translated tests/cuda/words/probe.cu)

# What starts the probe; the other launchers are in the archive.
add_library(zt_cuda_ptx_launch OBJECT cuda/words/probe.cu)
target_link_libraries(zt_cuda_ptx_launch PRIVATE zt_cuda_flags)
set_target_properties(zt_cuda_ptx_launch PROPERTIES CUDA_ARCHITECTURES 80-virtual)

add_library(zt_cuda_ptx STATIC support/cuda_ptx/runtime.cpp)
target_link_libraries(zt_cuda_ptx PUBLIC zt_cuda_host)
target_include_directories(zt_cuda_ptx SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})

zt_test(cuda/ptx LINK zt_cuda_host_ops zt_cuda_ops)
target_sources(test_cuda_ptx PRIVATE ${translated} $<TARGET_OBJECTS:zt_cuda_ptx_launch> cuda/words/expected.cpp
  cuda/host/words_test.cpp cuda/host/attention_test.cpp cuda/host/attention_host.cpp cuda/host/ops_test.cpp
  kernels/attention_support.cpp kernels/attention_naive.cpp kernels/plan_random.cpp)
target_include_directories(test_cuda_ptx BEFORE PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/cuda_host)
# Without what it links, the CUDA runtime.
add_dependencies(test_cuda_ptx zt_kernels_cuda)
target_link_libraries(test_cuda_ptx PRIVATE $<TARGET_FILE:zt_kernels_cuda> zt_cuda_ptx zt_kernels_ref)
