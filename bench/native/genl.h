/*
 * The little of generic netlink and of IPVS's interface that the bench's C programs need: a socket,
 * a message under construction, the family's number. Written for speed of the measured loop, not
 * for general use: a message that does not fit, or an answer that makes no sense, ends the program.
 */
#ifndef BENCH_GENL_H
#define BENCH_GENL_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IPVS_DEST_ATTR_ADDR_FAMILY
#define IPVS_DEST_ATTR_ADDR_FAMILY 11
#endif

enum { RECEIVE_BYTES = 1 << 20 };

/* Bytes of consecutive netlink messages. `message` is where the one under construction begins. */
struct writer {
    char *bytes;
    size_t length, capacity, message;
};

static inline void die(const char *what) {
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static inline void *reserve(struct writer *w, size_t length) {
    size_t padded = NLMSG_ALIGN(length);
    if (w->length + padded > w->capacity) {
        w->capacity = (w->length + padded) * 2;
        w->bytes = realloc(w->bytes, w->capacity);
        if (w->bytes == NULL) die("memory");
    }
    void *at = w->bytes + w->length;
    memset(at, 0, padded);
    w->length += padded;
    return at;
}

static inline struct nlmsghdr *begin_message(struct writer *w, int type, int flags, int command) {
    w->message = w->length;
    struct nlmsghdr *header = reserve(w, NLMSG_HDRLEN);
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    struct genlmsghdr *generic = reserve(w, GENL_HDRLEN);
    generic->cmd = command;
    generic->version = 1;
    return (struct nlmsghdr *)(w->bytes + w->message);
}

static inline void end_message(struct writer *w) {
    ((struct nlmsghdr *)(w->bytes + w->message))->nlmsg_len = w->length - w->message;
}

static inline void put(struct writer *w, int type, const void *data, size_t length) {
    struct nlattr *attribute = reserve(w, NLA_HDRLEN);
    attribute->nla_type = type;
    attribute->nla_len = NLA_HDRLEN + length;
    memcpy(reserve(w, length), data, length);
}

static inline void put_u16(struct writer *w, int type, uint16_t value) { put(w, type, &value, 2); }
static inline void put_u32(struct writer *w, int type, uint32_t value) { put(w, type, &value, 4); }

/* Opens a nested attribute; give the result to `end_nest`. */
static inline size_t begin_nest(struct writer *w, int type) {
    size_t at = w->length;
    struct nlattr *attribute = reserve(w, NLA_HDRLEN);
    attribute->nla_type = NLA_F_NESTED | type;
    return at;
}

static inline void end_nest(struct writer *w, size_t at) {
    ((struct nlattr *)(w->bytes + at))->nla_len = w->length - at;
}

static inline int open_socket(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd < 0) die("netlink socket");
    int size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return fd;
}

static inline void send_bytes(int fd, const void *bytes, size_t length) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(fd, bytes, length, 0, (struct sockaddr *)&kernel, sizeof kernel) != (ssize_t)length)
        die("send");
}

/* One datagram of answers. */
static inline int receive_bytes(int fd, char *buffer) {
    ssize_t n = recv(fd, buffer, RECEIVE_BYTES, 0);
    if (n < 0) die("receive");
    return (int)n;
}

/* Finds an attribute among siblings, or NULL. */
static inline struct nlattr *find(void *first, int length, int type) {
    for (char *at = first; length >= NLA_HDRLEN;) {
        struct nlattr *attribute = (struct nlattr *)at;
        if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > length) return NULL;
        if ((attribute->nla_type & NLA_TYPE_MASK) == type) return attribute;
        int step = NLA_ALIGN(attribute->nla_len);
        at += step;
        length -= step;
    }
    return NULL;
}

static inline void *attributes_of(struct nlmsghdr *header) {
    return (char *)header + NLMSG_HDRLEN + GENL_HDRLEN;
}

static inline int attributes_length(struct nlmsghdr *header) {
    return (int)header->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN;
}

/* The number that the kernel gave to the family IPVS; ends the program where there is none. */
static inline int resolve_ipvs(int fd, char *buffer) {
    struct writer w = {0};
    begin_message(&w, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY);
    put(&w, CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME, sizeof IPVS_GENL_NAME);
    end_message(&w);
    send_bytes(fd, w.bytes, w.length);
    free(w.bytes);
    receive_bytes(fd, buffer);
    struct nlmsghdr *header = (struct nlmsghdr *)buffer;
    errno = ENOPROTOOPT;
    if (header->nlmsg_type == NLMSG_ERROR) die("this kernel has no IPVS");
    struct nlattr *id = find(attributes_of(header), attributes_length(header), CTRL_ATTR_FAMILY_ID);
    if (id == NULL) die("no family number in the answer");
    return *(uint16_t *)((char *)id + NLA_HDRLEN);
}

#endif
