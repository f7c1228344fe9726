/* A client keeps its backend by its address, and few clients move when a backend comes or goes: each
 * slot goes to the backend that likes it best (rendezvous hashing; Thaler and Ravishankar, 1998).
 *
 *     cc -O2 -o sticky sticky.c
 *
 *     [policies.sticky]
 *     run = "./sticky"
 *
 * JSON is read by hand, as far as a question needs it: values that are not looked at are skipped
 * whole, whatever is in them. */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 64
#define MOST 1024

/* A string as it stands in the line, quotes and escapes included: it is given back like that. */
struct text { const char *start; size_t length; };

struct backend { struct text id; int healthy, draining; };

static void fail(const char *why) {
    fprintf(stderr, "sticky: %s\n", why);
    exit(1);
}

static const char *blank(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') at++;
    return at;
}

static const char *string(const char *at, struct text *text) {
    text->start = at;
    if (*at++ != '"') fail("a string was expected");
    while (*at != '"') {
        if (*at == '\\') at++;
        if (*at++ == 0) fail("a string has no end");
    }
    text->length = ++at - text->start;
    return at;
}

/* Behind any value. */
static const char *skip(const char *at) {
    struct text text;
    int depth = 0;
    do {
        at = blank(at);
        if (*at == '"') at = string(at, &text);
        else if (*at == '{' || *at == '[') depth++, at++;
        else if (*at == '}' || *at == ']') depth--, at++;
        else if (*at == ',' || *at == ':') at++;
        else if (*at == 0) fail("a value has no end");
        else at += strcspn(at, ",:]} \t\r\n");
    } while (depth > 0);
    return at;
}

static int is(struct text text, const char *word) {
    return text.length == strlen(word) + 2 && !memcmp(text.start + 1, word, text.length - 2);
}

/* The next member of an object: its name, and where its value is; NULL at the end. */
static const char *member(const char *at, struct text *name) {
    at = blank(at);
    if (*at == '{' || *at == ',') at = blank(at + 1);
    if (*at == '}') return NULL;
    at = blank(string(at, name));
    if (*at != ':') fail("a colon was expected");
    return blank(at + 1);
}

static const char *backend(const char *at, struct backend *one) {
    struct text name;
    const char *value, *end = skip(at);
    memset(one, 0, sizeof *one);
    while ((value = member(at, &name))) {
        if (is(name, "id")) string(value, &one->id);
        if (is(name, "healthy")) one->healthy = *value == 't';
        if (is(name, "draining")) one->draining = *value == 't';
        at = skip(value);
    }
    return end;
}

static size_t backends(const char *at, struct backend *all) {
    size_t count = 0;
    struct backend one;
    at = blank(at + 1);
    while (*at != ']') {
        at = blank(backend(at, &one));
        if (*at == ',') at = blank(at + 1);
        if (!one.healthy || one.draining) continue;
        if (count == MOST) fail("more backends than it can tell apart");
        all[count++] = one;
    }
    return count;
}

/* FNV-1a, and a last mixing: similar names must not like the same slots. */
static uint64_t likes(struct text id, unsigned slot) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < id.length; i++) hash = (hash ^ (unsigned char)id.start[i]) * 1099511628211u;
    hash ^= (uint64_t)(slot + 1) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

static void answer(const char *line) {
    static struct backend all[MOST];
    struct text name;
    const char *at = line, *value, *id = NULL;
    size_t count = 0;
    while ((value = member(at, &name))) {
        if (is(name, "id")) id = value;
        if (is(name, "backends")) count = backends(value, all);
        at = skip(value);
    }
    if (!id || !count) fail("a question about nobody");
    printf("{\"id\":%llu,\"key\":\"source\",\"slots\":[", strtoull(id, NULL, 10));
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (likes(all[i].id, slot) > likes(all[best].id, slot)) best = i;
        printf("%s%.*s", slot ? "," : "", (int)all[best].id.length, all[best].id.start);
    }
    printf("]}\n");
    /* hostd reads it now, not when a buffer is full. */
    fflush(stdout);
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) answer(line);
    return 0;
}
