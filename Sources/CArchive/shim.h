#pragma once
#include <sys/types.h>
#include <archive.h>
#include <archive_entry.h>

// GNU functions of the C library that Swift's Glibc module does not show.
int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags);
int fallocate(int descriptor, int mode, off_t offset, off_t length);

int sync_file_range(int descriptor, off_t offset, off_t length, unsigned int flags);

#include <fcntl.h>

/// `O_DIRECT` of this CPU: writes past the page cache. `SYNC_FILE_RANGE_WRITE`: begin to write back, do not wait.
enum { durable_o_direct = __O_DIRECT, durable_range_write = 2 };
