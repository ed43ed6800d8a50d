// Memory of the calling thread that is used again and again for what a kernel lays out anew in every call.
#pragma once

/// At least `bytes` bytes, aligned to 64, with arbitrary content, valid until the thread's next call; null when there is
/// no memory. Freed when the thread ends.
void *cvector_thread_room(long bytes);
