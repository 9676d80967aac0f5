# kiln-host for 64-bit Arm, beside the programs of an x86 machine as kiln-host-aarch64: kiln-server runs it under qemu, so that kernels
# for Arm are verified without a board. It is this project again, with KILN_PARTS=host and a cross compiler, so that its sources are
# listed once. Always optimised, since an emulator is slow enough. Defines the target kiln_host_aarch64 where it can be built.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64" OR KILN_SANITIZE)
  return()
endif()
find_program(KILN_AARCH64_CXX aarch64-linux-gnu-g++)
if(NOT KILN_AARCH64_CXX)
  message(STATUS "No kiln-host-aarch64, and so no emulated Arm devices: aarch64-linux-gnu-g++ is not installed "
    "(Debian: apt install g++-aarch64-linux-gnu)")
  return()
endif()

include(ExternalProject)
set(program "${PROJECT_BINARY_DIR}/bin/kiln-host-aarch64")
set(arguments
  -DCMAKE_TOOLCHAIN_FILE=${PROJECT_SOURCE_DIR}/cmake/aarch64-linux-gnu.cmake -DKILN_PARTS=host -DCMAKE_BUILD_TYPE=Release
  -DKILN_BUILD_TESTS=OFF -DKILN_BUILD_BENCHMARKS=OFF)
foreach(variable IN ITEMS CMAKE_COMPILE_WARNING_AS_ERROR CMAKE_CXX_COMPILER_LAUNCHER CMAKE_C_COMPILER_LAUNCHER)
  if(DEFINED ${variable})
    list(APPEND arguments "-D${variable}=${${variable}}")
  endif()
endforeach()
ExternalProject_Add(kiln_host_aarch64
  SOURCE_DIR "${PROJECT_SOURCE_DIR}"
  BINARY_DIR "${PROJECT_BINARY_DIR}/aarch64"
  PREFIX "${PROJECT_BINARY_DIR}/aarch64-steps"
  CMAKE_ARGS ${arguments}
  BUILD_ALWAYS ON  # its own build knows whether there is something to do
  INSTALL_COMMAND ${CMAKE_COMMAND} -E copy_if_different <BINARY_DIR>/bin/kiln-host "${program}"
  BUILD_BYPRODUCTS "${program}")
install(PROGRAMS "${program}" DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/kiln")
add_dependencies(programs kiln_host_aarch64)
