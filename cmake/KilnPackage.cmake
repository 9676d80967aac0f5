# What find_package(Kiln) finds after `cmake --install`: the modules as kiln::<name>, and kiln::cli. Programs, libraries and headers
# are installed where they are declared; modules are static libraries, so the package brings the third-party packages that they link.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Kiln")
install(EXPORT KilnTargets NAMESPACE kiln:: DESTINATION "${package_dir}")
set(KILN_PROMETHEUS "")
if(PrometheusCore_FOUND)
  set(KILN_PROMETHEUS PrometheusCore)
endif()
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/KilnConfig.cmake.in" "${PROJECT_BINARY_DIR}/KilnConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/KilnConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/KilnConfig.cmake" "${PROJECT_BINARY_DIR}/KilnConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindXGBoost.cmake" "${CMAKE_CURRENT_LIST_DIR}/FindPrometheusCore.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindNcursesw.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/KilnKernels.cmake" DESTINATION "${package_dir}")
