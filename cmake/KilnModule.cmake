# kiln_module(HEADERS h... [SOURCES cc...] [DEPS module...] [LINK target...] [PUBLIC_LINK target...] [PART name])
#
# The library kiln::<folder> of the current folder. DEPS is everything of ours that the folder may include, beside what those
# modules may include themselves; the ctest `layering` holds the sources to it. LINK is for third-party libraries, which stay
# private to the .cc files. PART declares a second library of the same folder, kiln::<folder>_<name>.
add_library(kiln_warnings INTERFACE)
# GCC 12 takes a designated initializer that leaves members at their default for a mistake.
target_compile_options(kiln_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers)
# And in optimized code it takes "text" + string for a copy onto itself (GCC bug 105651, mended in 13).
set(gcc12 "$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>")
target_compile_options(kiln_warnings INTERFACE "$<$<AND:${gcc12},$<NOT:$<CONFIG:Debug>>>:-Wno-restrict>")

if(KILN_SANITIZE)
  # gcc 12 takes std::regex for uninitialized when it is instrumented.
  add_compile_options(-fsanitize=${KILN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -Wno-error=maybe-uninitialized)
  add_link_options(-fsanitize=${KILN_SANITIZE})
endif()
if(KILN_SANITIZE STREQUAL thread)
  # The sanitizer does not know fences; Asio's come on top of its locks.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  add_library(kiln_tsan_absl_mutex OBJECT "${PROJECT_SOURCE_DIR}/tests/tsan_absl_mutex.cc")
  target_compile_features(kiln_tsan_absl_mutex PRIVATE cxx_std_20)
  target_sources(kiln_warnings INTERFACE $<TARGET_OBJECTS:kiln_tsan_absl_mutex>)
endif()

function(kiln_module)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "PART" "HEADERS;SOURCES;DEPS;LINK;PUBLIC_LINK")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "kiln_module: unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(module "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  set(name ${module})
  if(arg_PART)
    set(name ${module}_${arg_PART})
  endif()
  set(target kiln_${name})
  list(TRANSFORM arg_DEPS PREPEND kiln:: OUTPUT_VARIABLE deps)
  if(arg_SOURCES)
    set(scope PUBLIC)
    add_library(${target} STATIC ${arg_SOURCES})
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:kiln_warnings> ${arg_LINK})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  add_library(kiln::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(${target} ${scope} cxx_std_20)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${arg_HEADERS})
  target_link_libraries(${target} ${scope} ${deps} ${arg_PUBLIC_LINK})
  install(TARGETS ${target} EXPORT KilnTargets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kiln)
  string(JOIN " " line "${module}:" ${arg_DEPS})
  set_property(GLOBAL APPEND PROPERTY KILN_MODULE_DEPS "${line}")
endfunction()

# kiln_data(NAME): the folder NAME of the current folder holds data files that programs find with FindData("NAME"): a link in the
# build tree, a copy in the installed tree, both at share/kiln/NAME beside bin.
function(kiln_data name)
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/share/kiln")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}/${name}" "${PROJECT_BINARY_DIR}/share/kiln/${name}" SYMBOLIC)
  install(DIRECTORY ${name} DESTINATION ${CMAKE_INSTALL_DATADIR}/kiln COMPONENT agent)
endfunction()
