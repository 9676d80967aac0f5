# Defines Ncursesw::ncursesw: curses for characters of UTF-8. CMake's own FindCurses has variables, which an installed target cannot name.
find_path(Ncursesw_INCLUDE_DIR curses.h)
find_library(Ncursesw_LIBRARY ncursesw)
mark_as_advanced(Ncursesw_INCLUDE_DIR Ncursesw_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Ncursesw REQUIRED_VARS Ncursesw_LIBRARY Ncursesw_INCLUDE_DIR)
if(Ncursesw_FOUND AND NOT TARGET Ncursesw::ncursesw)
  add_library(Ncursesw::ncursesw UNKNOWN IMPORTED)
  set_target_properties(Ncursesw::ncursesw PROPERTIES
    IMPORTED_LOCATION "${Ncursesw_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${Ncursesw_INCLUDE_DIR}")
endif()
