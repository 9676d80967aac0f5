/* How kiln-count-host tells the plugin in the emulator that runs it what to count: by a system call
 * that no kernel has, which the plugin sees and the emulated kernel refuses (ENOSYS).
 *   KILN_COUNT_WATCH begin end   the code between these addresses is counted from now on; what was
 *                                counted elsewhere is forgotten. Before any of it is executed.
 *   KILN_COUNT_START             all counts are zero
 *   KILN_COUNT_STOP              the counts are written to the plugin's file, replacing it
 */
#ifndef KILN_COUNT_MARKER_H_
#define KILN_COUNT_MARKER_H_

enum {
  KILN_COUNT_SYSCALL = 0x6b696c6e,
  KILN_COUNT_WATCH = 1,
  KILN_COUNT_START = 2,
  KILN_COUNT_STOP = 3
};

#endif /* KILN_COUNT_MARKER_H_ */
