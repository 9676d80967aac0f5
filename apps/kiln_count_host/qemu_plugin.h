/* What the count plugin uses of QEMU's plugin interface, version 1 (QEMU 4.2 to 8.2 and later ones
 * that still take it). Declared here because Debian ships no qemu-plugin.h; the emulator itself
 * resolves the functions when it loads the plugin. */
#ifndef KILN_QEMU_PLUGIN_H_
#define KILN_QEMU_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

typedef uint64_t qemu_plugin_id_t;

/* A translated block: instructions that are executed one after the other. Valid while it is being
 * translated. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
/* What kind of machine is emulated; not looked at. */
struct qemu_info_t;

enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb* tb);
typedef void (*qemu_plugin_vcpu_syscall_cb_t)(qemu_plugin_id_t id, unsigned int vcpu_index,
                                              int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                                              uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                                              uint64_t a8);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t cb);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_syscall_cb_t cb);
/* Each execution of the block adds `imm` to *ptr, in generated code: no call. */
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* tb, enum qemu_plugin_op op,
                                              void* ptr, uint64_t imm);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* tb);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* insn);

/* What a plugin defines. */
#define QEMU_PLUGIN_EXPORT __attribute__((visibility("default")))
extern QEMU_PLUGIN_EXPORT int qemu_plugin_version;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t* info,
                                           int argc, char** argv);

#endif /* KILN_QEMU_PLUGIN_H_ */
