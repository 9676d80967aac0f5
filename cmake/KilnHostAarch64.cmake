# kiln-host for 64-bit Arm, beside the programs of an x86 machine as kiln-host-aarch64: kiln-server runs it under qemu, so that kernels
# for Arm are verified without a board. Likewise kiln-count-host, for estimates. No sanitizer's runtime is for an emulator, so they are
# built without one. Defines the target kiln_host_aarch64 where it can be built.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  return()
endif()
find_program(KILN_AARCH64_CXX aarch64-linux-gnu-g++)
if(NOT KILN_AARCH64_CXX)
  message(STATUS "No kiln-host-aarch64, and so no emulated Arm devices: aarch64-linux-gnu-g++ is not installed "
    "(Debian: apt install g++-aarch64-linux-gnu)")
  return()
endif()

include(KilnHostProject)
kiln_host_project(kiln_host_aarch64 FOLDER aarch64
  ARGS "-DCMAKE_TOOLCHAIN_FILE=${PROJECT_SOURCE_DIR}/cmake/aarch64-linux-gnu.cmake"
  PROGRAMS kiln-host kiln-host-aarch64 kiln-count-host-aarch64 kiln-count-host-aarch64)
install(PROGRAMS "${PROJECT_BINARY_DIR}/bin/kiln-host-aarch64" "${PROJECT_BINARY_DIR}/bin/kiln-count-host-aarch64"
  DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/kiln")
add_dependencies(programs kiln_host_aarch64)
