/*
 * The floor: what the kernel itself needs, with nothing in user space but prebuilt messages.
 *
 *   floor batched SERVICES DESTINATIONS   16 kB of messages per send, an ack for the last of each
 *   floor single SERVICES DESTINATIONS    one message and its ack per call, as simple tools do
 *   floor messages SERVICES DESTINATIONS  writes the messages to stdout, for others to send
 *   floor read                            reads the whole table, counts what it finds
 *
 * Else prints one line of JSON. Times run from the first send to the last answer, in milliseconds.
 */
#include "workload.h"

enum { BATCH_BYTES = 16 * 1024 };

static char answers[RECEIVE_BYTES];

/* Where each message begins, and where the last one ends. */
struct queue {
    struct writer bytes;
    size_t *starts;
    unsigned count;
};

static struct queue prebuild(int family, unsigned services, unsigned destinations) {
    struct queue q = {0};
    q.starts = malloc(sizeof *q.starts * ((size_t)services * (1 + destinations) + 1));
    if (q.starts == NULL) die("memory");
    for (unsigned i = 0; i < services; i++) {
        q.starts[q.count++] = q.bytes.length;
        put_create_service(&q.bytes, family, i);
        for (unsigned k = 0; k < destinations; k++) {
            q.starts[q.count++] = q.bytes.length;
            put_create_destination(&q.bytes, family, i, k);
        }
    }
    q.starts[q.count] = q.bytes.length;
    return q;
}

/* Reads answers up to the ack; the kernel answers a refused message although it asks for no ack. */
static void await_ack(int fd, unsigned *refused) {
    for (;;) {
        int left = receive_bytes(fd, answers);
        for (struct nlmsghdr *h = (struct nlmsghdr *)answers; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type != NLMSG_ERROR) continue;
            struct nlmsgerr *answer = NLMSG_DATA(h);
            if (answer->error != 0) ++*refused;
            if (answer->msg.nlmsg_flags & NLM_F_ACK) return;
        }
    }
}

static void program(int fd, int family, unsigned services, unsigned destinations, size_t batch) {
    struct queue q = prebuild(family, services, destinations);
    unsigned sends = 0, refused = 0;
    for (unsigned from = 0, to; from < q.count; from = to) {
        for (to = from + 1; to < q.count && q.starts[to + 1] - q.starts[from] <= batch; to++) {}
        ((struct nlmsghdr *)(q.bytes.bytes + q.starts[to - 1]))->nlmsg_flags |= NLM_F_ACK;
    }
    double start = now_ms();
    for (unsigned from = 0, to; from < q.count; from = to, sends++) {
        for (to = from + 1; to < q.count && q.starts[to + 1] - q.starts[from] <= batch; to++) {}
        send_bytes(fd, q.bytes.bytes + q.starts[from], q.starts[to] - q.starts[from]);
        await_ack(fd, &refused);
    }
    double elapsed = now_ms() - start;
    printf("{\"ms\":%.3f,\"messages\":%u,\"sends\":%u,\"refused\":%u}\n", elapsed, q.count, sends, refused);
}

static void write_messages(int family, unsigned services, unsigned destinations) {
    struct queue q = prebuild(family, services, destinations);
    if (fwrite(q.bytes.bytes, q.bytes.length, 1, stdout) != 1) die("write");
}

/* Identities of all services, as nested attributes ready to be sent back. */
struct identities {
    struct writer bytes;
    unsigned count;
};

static void copy_identity(struct identities *out, struct nlattr *service) {
    char *inner = (char *)service + NLA_HDRLEN;
    int length = service->nla_len - NLA_HDRLEN;
    size_t nest = begin_nest(&out->bytes, IPVS_CMD_ATTR_SERVICE);
    for (int type = IPVS_SVC_ATTR_AF; type <= IPVS_SVC_ATTR_FWMARK; type++) {
        struct nlattr *a = find(inner, length, type);
        if (a != NULL) put(&out->bytes, type, (char *)a + NLA_HDRLEN, a->nla_len - NLA_HDRLEN);
    }
    end_nest(&out->bytes, nest);
    out->count++;
}

/* Reads one dump to its end. Returns the number of entries; keeps identities when asked. */
static unsigned drain_dump(int fd, struct identities *out) {
    for (unsigned count = 0;;) {
        int left = receive_bytes(fd, answers);
        for (struct nlmsghdr *h = (struct nlmsghdr *)answers; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE) return count;
            if (h->nlmsg_type == NLMSG_ERROR) die("dump refused");
            count++;
            struct nlattr *service =
                out == NULL ? NULL : find(attributes_of(h), attributes_length(h), IPVS_CMD_ATTR_SERVICE);
            if (service != NULL) copy_identity(out, service);
        }
    }
}

static void read_all(int fd, int family) {
    struct writer request = {0};
    struct identities services = {0};
    unsigned destinations = 0;
    double start = now_ms();
    begin_message(&request, family, NLM_F_DUMP, IPVS_CMD_GET_SERVICE);
    end_message(&request);
    send_bytes(fd, request.bytes, request.length);
    drain_dump(fd, &services);
    size_t at = 0;
    for (unsigned i = 0; i < services.count; i++) {
        struct nlattr *identity = (struct nlattr *)(services.bytes.bytes + at);
        request.length = 0;
        begin_message(&request, family, NLM_F_DUMP, IPVS_CMD_GET_DEST);
        memcpy(reserve(&request, identity->nla_len), identity, identity->nla_len);
        end_message(&request);
        send_bytes(fd, request.bytes, request.length);
        destinations += drain_dump(fd, NULL);
        at += NLA_ALIGN(identity->nla_len);
    }
    printf("{\"ms\":%.3f,\"services\":%u,\"destinations\":%u}\n", now_ms() - start, services.count, destinations);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    int fd = open_socket();
    int family = resolve_ipvs(fd, answers);
    if (strcmp(mode, "read") == 0) {
        read_all(fd, family);
    } else if (argc == 4 && strcmp(mode, "messages") == 0) {
        write_messages(family, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    } else if (argc == 4 && (strcmp(mode, "batched") == 0 || strcmp(mode, "single") == 0)) {
        size_t batch = mode[0] == 'b' ? BATCH_BYTES : 0;
        program(fd, family, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), batch);
    } else {
        fprintf(stderr, "usage: floor batched|single|messages SERVICES DESTINATIONS | floor read\n");
        return 64;
    }
    return 0;
}
