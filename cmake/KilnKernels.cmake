# kiln_add_kernels(NAME
#   LOCK kiln.lock | DATABASE tuning.db          where the best configs are from
#   [MODEL m.tflite | NETWORK name | LAYERS file.csv | WORKLOADS key...]   whose layers; a lock file may stand alone
#   [TARGET name...] [THREADS n...]              default: all of the lock file for the processor that is built for
#   [FALLBACK error|warn|silent]                 what to do where nothing is tuned (default: warn)
#   [PREFIX name] [NO_PORTABLE])
#
# A static library NAME of tuned kernels with the header <PREFIX or NAME>.h: `kiln export` (docs/builds.md) as a step of the build.
# The step runs when the lock file, the model or Kiln itself changes, and compiles the kernels whose code is new, on all cores;
# with a lock file no database is opened. Its last line says how well the library is tuned. Cross builds take the targets of
# CMAKE_SYSTEM_PROCESSOR.
include_guard()

function(kiln_add_kernels name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_PORTABLE" "LOCK;DATABASE;DB;MODEL;NETWORK;LAYERS;FALLBACK;PREFIX" "WORKLOADS;TARGET;THREADS")
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "kiln_add_kernels(${name}): unknown or incomplete: ${arg_UNPARSED_ARGUMENTS} ${arg_KEYWORDS_MISSING_VALUES}")
  endif()
  if(NOT CMAKE_C_COMPILER_LOADED)
    message(FATAL_ERROR "kiln_add_kernels(${name}): libraries of kernels are C: project(... LANGUAGES C CXX)")
  endif()
  if(arg_DB)
    set(arg_DATABASE "${arg_DB}")
  endif()
  if(arg_LOCK AND arg_DATABASE)
    message(FATAL_ERROR "kiln_add_kernels(${name}): LOCK or DATABASE, not both")
  endif()
  if(NOT arg_LOCK AND NOT arg_DATABASE)
    message(FATAL_ERROR "kiln_add_kernels(${name}): say where the best configs are from: LOCK file or DATABASE file")
  endif()
  set(prefix "${name}")
  if(arg_PREFIX)
    set(prefix "${arg_PREFIX}")
  endif()

  set(command "$<TARGET_FILE:kiln::kiln>" export)
  set(inputs "$<TARGET_FILE:kiln::kiln>" "${KILN_COMPILE_WORKER}")
  foreach(pair IN ITEMS LOCK=--lock DATABASE=--db MODEL=--model LAYERS=--layers)
    string(REGEX MATCH "(.*)=(.*)" ignored "${pair}")
    set(value "${arg_${CMAKE_MATCH_1}}")
    set(option "${CMAKE_MATCH_2}")
    if(value)
      get_filename_component(file "${value}" ABSOLUTE)
      list(APPEND command ${option} "${file}")
      list(APPEND inputs "${file}")
    endif()
  endforeach()
  if(arg_NETWORK)
    list(APPEND command --network "${arg_NETWORK}")
  endif()
  if(arg_WORKLOADS)
    list(APPEND command --workload ${arg_WORKLOADS})
  endif()
  if(arg_DATABASE AND NOT arg_TARGET AND CMAKE_CROSSCOMPILING)
    message(FATAL_ERROR "kiln_add_kernels(${name}): say which TARGET of the database: this machine is not what is built for")
  endif()
  if(arg_TARGET)
    list(APPEND command --target ${arg_TARGET})
  endif()
  set(arch "${CMAKE_SYSTEM_PROCESSOR}")
  if(arch STREQUAL "AMD64")
    set(arch x86_64)
  elseif(arch STREQUAL "arm64")
    set(arch aarch64)
  endif()
  list(APPEND command --arch "${arch}")
  if(arg_THREADS)
    list(APPEND command --threads ${arg_THREADS})
  endif()
  if(arg_FALLBACK)
    list(APPEND command --fallback "${arg_FALLBACK}")
  endif()
  if(arg_NO_PORTABLE)
    list(APPEND command --no-portable)
  endif()

  # Objects are archived by the build's own ar: their number is not known before the step has run. `ar` reads their names from a
  # file, and in the library's directory, as they may not have spaces. Source and header are by-products: they change less often
  # than the step runs, and what includes the header is then not compiled again.
  set(directory "${CMAKE_CURRENT_BINARY_DIR}/${name}.kernels")
  set(archive "${directory}/lib${prefix}_kernels.a")
  set(source "${directory}/src/${prefix}.c")
  set(header "${directory}/include/${prefix}.h")
  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/${name}.kernels.stamp")
  add_custom_command(
    OUTPUT "${stamp}"
    BYPRODUCTS "${archive}" "${source}" "${header}"
    COMMAND ${command} --prefix "${prefix}" --out "${directory}"
    COMMAND "${CMAKE_COMMAND}" -E rm -f "${archive}"
    COMMAND "${CMAKE_COMMAND}" -E chdir "${directory}" "${CMAKE_AR}" qcsD "lib${prefix}_kernels.a" "@objects.txt"
    COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
    DEPENDS ${inputs}
    COMMENT "Exporting kernels: ${name}"
    VERBATIM)
  add_custom_target(${name}_kernels DEPENDS "${stamp}")
  add_library(${name} STATIC "${source}")
  add_dependencies(${name} ${name}_kernels)
  set_target_properties(${name} PROPERTIES C_STANDARD 11 C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON LINKER_LANGUAGE C)
  # For tests: a file of operators with inputs and right outputs, and where the header is that reads it.
  set_target_properties(${name} PROPERTIES
    KILN_CASES "${directory}/self_test/${prefix}.cases" KILN_SELF_TEST "${directory}/self_test")
  target_include_directories(${name} PUBLIC "${directory}/include")
  target_link_libraries(${name} PUBLIC "${archive}")
endfunction()
