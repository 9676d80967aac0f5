/* Reads the data of a library's self-test: real or made-up values of its operators, inputs, and the
 * checksums of their right outputs. For tests; nothing that a library needs. C11 and C++.
 *
 *   file     = "KILNCASE" version:u32 records:u32 record*
 *   record   = name key n_channels:u32 n_w:u64 x_zp w_zp y_zp act_min act_max:i32
 *              has_bias has_mult has_scale:u32 n_cases:u32 w bias mult shift scale case*
 *   case     = x_bytes:u64 y_bytes:u64 crc32:u32 x
 *
 * Little-endian; texts are their length (u32), bytes and a zero; arrays begin at multiples of 64
 * bytes in the file.
 */
#ifndef KILN_CASES_H_
#define KILN_CASES_H_

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_host/kiln_kernel.h"

enum { KILN_CASES_VERSION = 1 };

typedef struct {
  unsigned char* bytes;
  size_t size, at;
  uint32_t records; /* that are left */
} kiln_cases;

/* The values of one operator, and how many inputs follow. */
typedef struct {
  const char *name, *workload;
  kiln_op op;
  uint32_t n_cases;
} kiln_record;

typedef struct {
  const void* x;
  uint64_t x_bytes, y_bytes;
  uint32_t y_crc32; /* of the right output */
} kiln_case;

/* CRC-32 as zlib's. */
static inline uint32_t kiln_crc32(const void* bytes, size_t size) {
  const unsigned char* at = (const unsigned char*)bytes;
  uint32_t table[256], crc = 0xffffffffu;
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) {
      table[i] = (table[i] >> 1) ^ ((table[i] & 1) != 0 ? 0xedb88320u : 0);
    }
  }
  for (size_t i = 0; i < size; ++i) crc = (crc >> 8) ^ table[(crc ^ at[i]) & 0xff];
  return ~crc;
}

/* `size` bytes of the file, or NULL past its end. */
static inline const void* kiln_take(kiln_cases* cases, uint64_t size) {
  const void* at = cases->bytes + cases->at;
  if (size > cases->size - cases->at) return NULL;
  cases->at += (size_t)size;
  return at;
}

static inline int kiln_take_number(kiln_cases* cases, void* number, size_t size) {
  const void* at = kiln_take(cases, size);
  if (at == NULL) return 0;
  memcpy(number, at, size);
  return 1;
}

static inline int kiln_take_text(kiln_cases* cases, const char** text) {
  uint32_t length = 0;
  if (!kiln_take_number(cases, &length, sizeof length)) return 0;
  *text = (const char*)kiln_take(cases, (uint64_t)length + 1);
  return *text != NULL && (*text)[length] == 0;
}

static inline const void* kiln_take_array(kiln_cases* cases, uint64_t size) {
  const size_t padding = (64 - cases->at % 64) % 64;
  return kiln_take(cases, padding) == NULL ? NULL : kiln_take(cases, size);
}

/* Reads the file into memory that kiln_close_cases() gives back. 0: it cannot be read. */
static inline int kiln_open_cases(kiln_cases* cases, const char* path) {
  uint32_t version = 0;
  long size = 0;
  FILE* file = fopen(path, "rb");
  memset(cases, 0, sizeof *cases);
  if (file == NULL) return 0;
  if (fseek(file, 0, SEEK_END) == 0) size = ftell(file);
  /* A directory says that it is as large as can be. */
  if (size > 0 && size < LONG_MAX - 64 && fseek(file, 0, SEEK_SET) == 0) {
    const size_t room = ((size_t)size + 63) / 64 * 64;
    cases->bytes = (unsigned char*)aligned_alloc(64, room);
    if (cases->bytes != NULL) cases->size = fread(cases->bytes, 1, (size_t)size, file);
  }
  fclose(file);
  if (cases->size < 8 || memcmp(kiln_take(cases, 8), "KILNCASE", 8) != 0) return 0;
  return kiln_take_number(cases, &version, sizeof version) && version == KILN_CASES_VERSION &&
         kiln_take_number(cases, &cases->records, sizeof cases->records);
}

static inline void kiln_close_cases(kiln_cases* cases) { free(cases->bytes); }

/* 1: the next record; 0: there is no more; -1: the file is damaged. All cases of a record are to be
 * read before the next one. */
static inline int kiln_next_record(kiln_cases* cases, kiln_record* record) {
  uint32_t channels = 0, has[3] = {0, 0, 0};
  uint64_t w_bytes = 0;
  int32_t values[5] = {0, 0, 0, 0, 0};
  if (cases->records == 0) return 0;
  --cases->records;
  memset(record, 0, sizeof *record);
  if (!kiln_take_text(cases, &record->name) || !kiln_take_text(cases, &record->workload) ||
      !kiln_take_number(cases, &channels, sizeof channels) ||
      !kiln_take_number(cases, &w_bytes, sizeof w_bytes) ||
      !kiln_take_number(cases, values, sizeof values) ||
      !kiln_take_number(cases, has, sizeof has) ||
      !kiln_take_number(cases, &record->n_cases, sizeof record->n_cases)) {
    return -1;
  }
  record->op.x_zp = values[0];
  record->op.w_zp = values[1];
  record->op.y_zp = values[2];
  record->op.act_min = values[3];
  record->op.act_max = values[4];
  record->op.w = kiln_take_array(cases, w_bytes);
  if (has[0]) record->op.bias = (const int32_t*)kiln_take_array(cases, 4ull * channels);
  if (has[1]) {
    record->op.mult = (const int32_t*)kiln_take_array(cases, 4ull * channels);
    record->op.shift = (const int32_t*)kiln_take_array(cases, 4ull * channels);
  }
  if (has[2]) record->op.scale = (const float*)kiln_take_array(cases, 4ull * channels);
  return record->op.w != NULL && (!has[0] || record->op.bias != NULL) &&
                 (!has[1] || (record->op.mult != NULL && record->op.shift != NULL)) &&
                 (!has[2] || record->op.scale != NULL)
             ? 1
             : -1;
}

/* 1: the next of the record's n_cases; -1: the file is damaged. */
static inline int kiln_next_case(kiln_cases* cases, kiln_case* one) {
  if (!kiln_take_number(cases, &one->x_bytes, sizeof one->x_bytes) ||
      !kiln_take_number(cases, &one->y_bytes, sizeof one->y_bytes) ||
      !kiln_take_number(cases, &one->y_crc32, sizeof one->y_crc32)) {
    return -1;
  }
  one->x = kiln_take_array(cases, one->x_bytes);
  return one->x != NULL ? 1 : -1;
}

/* Memory aligned for packed operators, workspaces and all else; NULL: there is none. */
static inline void* kiln_aligned_alloc(uint64_t bytes) {
  return aligned_alloc(64, (size_t)(bytes / 64 + 1) * 64);
}

#endif /* KILN_CASES_H_ */
