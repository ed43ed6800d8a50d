#pragma once
#include <sys/types.h>
#include <archive.h>
#include <archive_entry.h>

// GNU functions of the C library that Swift's Glibc module does not show.
int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags);
int fallocate(int descriptor, int mode, off_t offset, off_t length);
