# Manual pages and shell completions, which each program makes of its own command line: when it is
# installed, by itself.

# kiln_install_manual(kiln): share/man/man1/kiln*.1, and what bash, zsh and fish look for.
function(kiln_install_manual program)
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  foreach(where "man ${CMAKE_INSTALL_MANDIR}/man1" "bash ${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
                "zsh ${CMAKE_INSTALL_DATADIR}/zsh/site-functions" "fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
    separate_arguments(where)
    list(GET where 0 kind)
    list(GET where 1 directory)
    set(place "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${directory}")
    if(kind STREQUAL "man")
      set(call "--manual \"${place}\" OUTPUT_QUIET")
    elseif(kind STREQUAL "zsh")
      set(call "--completion zsh OUTPUT_FILE \"${place}/_${program}\"")
    elseif(kind STREQUAL "bash")
      set(call "--completion bash OUTPUT_FILE \"${place}/${program}\"")
    else()
      set(call "--completion fish OUTPUT_FILE \"${place}/${program}.fish\"")
    endif()
    install(CODE "file(MAKE_DIRECTORY \"${place}\")
execute_process(COMMAND \"$<TARGET_FILE:${program}>\" ${call} COMMAND_ERROR_IS_FATAL ANY)")
  endforeach()
endfunction()
