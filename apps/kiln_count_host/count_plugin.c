/* A plugin for qemu-user that counts how often each translated block of a kernel is executed, as
 * count_marker.h says. Its argument out=FILE names the file for the counts, one line per block that
 * was executed:
 *     <offset of its first byte from the beginning of what is watched> <bytes> <count>
 * in decimal; the last line is "end", so that a file that was cut short shows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "count_marker.h"
#include "qemu_plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

/* Kept for ever: translated code adds to the count as long as the emulator keeps it, which nobody
 * tells. Some 40 bytes each, a hundred per kernel. */
typedef struct Block {
  uint64_t count, begin, bytes;
  struct Block* next;
} Block;

static const char* out_path;
static uint64_t watch_begin, watch_end;
static Block* blocks;

/* The emulator may throw translations away and make them anew: those of one block add up. */
static Block* find_block(uint64_t begin, uint64_t bytes) {
  Block* block = blocks;
  while (block && (block->begin != begin || block->bytes != bytes)) block = block->next;
  if (block) return block;
  block = calloc(1, sizeof *block);
  if (!block) abort();
  block->begin = begin;
  block->bytes = bytes;
  block->next = blocks;
  blocks = block;
  return block;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  const uint64_t begin = qemu_plugin_tb_vaddr(tb);
  if (begin < watch_begin || begin >= watch_end) return;
  uint64_t bytes = 0;
  const size_t instructions = qemu_plugin_tb_n_insns(tb);
  for (size_t i = 0; i < instructions; ++i) {
    bytes += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
  }
  Block* block = find_block(begin, bytes);
  qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->count, 1);
}

static void write_counts(void) {
  FILE* file = fopen(out_path, "w");
  if (!file) {
    perror(out_path);
    exit(1);
  }
  for (const Block* block = blocks; block; block = block->next) {
    if (block->count == 0) continue;
    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", block->begin - watch_begin, block->bytes,
            block->count);
  }
  fputs("end\n", file);
  if (fclose(file) != 0) {
    perror(out_path);
    exit(1);
  }
}

static void on_system_call(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t command,
                           uint64_t begin, uint64_t end, uint64_t a4, uint64_t a5, uint64_t a6,
                           uint64_t a7, uint64_t a8) {
  (void)id, (void)vcpu, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  if (number != KILN_COUNT_SYSCALL) return;
  switch (command) {
    case KILN_COUNT_WATCH:
      blocks = NULL;
      watch_begin = begin;
      watch_end = end;
      break;
    case KILN_COUNT_START:
      for (Block* block = blocks; block; block = block->next) block->count = 0;
      break;
    case KILN_COUNT_STOP:
      write_counts();
      break;
    default:
      break;
  }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t* info,
                                           int argc, char** argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "out=", 4) == 0) out_path = strdup(argv[i] + 4);
  }
  if (!out_path) {
    fputs("count plugin: no out=FILE\n", stderr);
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
  return 0;
}
