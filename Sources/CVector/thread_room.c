#include "ThreadRoom.h"
#include <pthread.h>
#include <stdlib.h>

struct room {
    long capacity;
    void *memory;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int has_key = 0;

static void release(void *value) {
    struct room *room = value;
    free(room->memory);
    free(room);
}

static void make_key(void) { has_key = pthread_key_create(&key, release) == 0; }

static struct room *room_of_thread(void) {
    pthread_once(&once, make_key);
    if (!has_key) return NULL;
    struct room *room = pthread_getspecific(key);
    if (room) return room;
    room = calloc(1, sizeof *room);
    if (room && pthread_setspecific(key, room) != 0) {
        free(room);
        return NULL;
    }
    return room;
}

void *cvector_thread_room(long bytes) {
    struct room *room = room_of_thread();
    if (!room) return NULL;
    if (room->capacity >= bytes && room->memory) return room->memory;
    // Doubling, so that calls that grow step by step do not allocate each time.
    long wanted = bytes > 2 * room->capacity ? bytes : 2 * room->capacity;
    if (wanted < 1 << 16) wanted = 1 << 16;
    free(room->memory);
    room->capacity = 0;
    if (posix_memalign(&room->memory, 64, (size_t)wanted) != 0) room->memory = NULL;
    if (room->memory) room->capacity = wanted;
    return room->memory;
}
