# Defines PrometheusCore::core: the metrics and their text format of prometheus-cpp. Its own CMake package wants the libraries of its web
# server and its web client as well, which are not used.
find_path(PrometheusCore_INCLUDE_DIR prometheus/text_serializer.h)
set(prometheus_library prometheus-cpp-core)
if(KILN_STATIC)
  set(prometheus_library libprometheus-cpp-core.a)  # Debian has none
endif()
find_library(PrometheusCore_LIBRARY ${prometheus_library})
mark_as_advanced(PrometheusCore_INCLUDE_DIR PrometheusCore_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(PrometheusCore REQUIRED_VARS PrometheusCore_LIBRARY PrometheusCore_INCLUDE_DIR)
if(PrometheusCore_FOUND AND NOT TARGET PrometheusCore::core)
  add_library(PrometheusCore::core UNKNOWN IMPORTED)
  set_target_properties(PrometheusCore::core PROPERTIES
    IMPORTED_LOCATION "${PrometheusCore_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${PrometheusCore_INCLUDE_DIR}")
endif()
