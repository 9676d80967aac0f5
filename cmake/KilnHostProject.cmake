# kiln_host_project(target FOLDER dir ARGS -D... PROGRAMS from to ...): the programs that run kernels, for another machine or with other flags
# than this build. It is this project again, with KILN_PARTS=host, so that its sources are listed once. Always optimised, since kernels are
# timed and emulators slow. PROGRAMS are pairs: bin/<from> of that build becomes bin/<to> of this.
include(ExternalProject)

function(kiln_host_project target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "ARGS;PROGRAMS")
  set(arguments ${arg_ARGS} -DKILN_PARTS=host -DCMAKE_BUILD_TYPE=Release -DKILN_BUILD_TESTS=OFF -DKILN_BUILD_BENCHMARKS=OFF)
  foreach(variable IN ITEMS CMAKE_COMPILE_WARNING_AS_ERROR CMAKE_CXX_COMPILER_LAUNCHER CMAKE_C_COMPILER_LAUNCHER)
    if(DEFINED ${variable})
      list(APPEND arguments "-D${variable}=${${variable}}")
    endif()
  endforeach()
  set(install INSTALL_COMMAND ${CMAKE_COMMAND} -E true)
  set(products)
  while(arg_PROGRAMS)
    list(POP_FRONT arg_PROGRAMS from to)
    list(APPEND install COMMAND ${CMAKE_COMMAND} -E copy_if_different "<BINARY_DIR>/bin/${from}" "${PROJECT_BINARY_DIR}/bin/${to}")
    list(APPEND products "${PROJECT_BINARY_DIR}/bin/${to}")
  endwhile()
  ExternalProject_Add(${target}
    SOURCE_DIR "${PROJECT_SOURCE_DIR}"
    BINARY_DIR "${PROJECT_BINARY_DIR}/${arg_FOLDER}"
    PREFIX "${PROJECT_BINARY_DIR}/${arg_FOLDER}-steps"
    CMAKE_ARGS ${arguments}
    BUILD_ALWAYS ON  # its own build knows whether there is something to do
    ${install}
    BUILD_BYPRODUCTS ${products})
endfunction()
