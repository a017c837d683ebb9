/*
 * Times what happens outside of it, from a process that is cheap to fork.
 *
 *   stopwatch run [-i INPUT] COMMAND...         from fork to the end of the command
 *   stopwatch change NEW TARGET I K WEIGHT [PID]  moves file NEW onto TARGET, sends SIGHUP to PID if
 *                                               given, and waits until destination K of service I
 *                                               has that weight in the kernel
 *   stopwatch serve PORT                        accepts connections and closes them, for checks
 *
 * The first two print one line of JSON; milliseconds. `change` looks each half millisecond, which costs the
 * contestants about a tenth of the processor and both the same.
 */
#include "workload.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { POLL_NS = 500 * 1000, DEADLINE_MS = 300 * 1000 };

static char answers[RECEIVE_BYTES];

static int run(char **argv) {
    const char *input = "/dev/null";
    if (argv[0] != NULL && strcmp(argv[0], "-i") == 0 && argv[1] != NULL) {
        input = argv[1];
        argv += 2;
    }
    int status;
    double start = now_ms();
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        int in = open(input, O_RDONLY), out = open("/dev/null", O_WRONLY);
        if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0) die(input);
        execvp(argv[0], argv);
        die(argv[0]);
    }
    if (waitpid(child, &status, 0) != child) die("wait");
    double elapsed = now_ms() - start;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    printf("{\"ms\":%.3f,\"exitCode\":%d}\n", elapsed, code);
    return 0;
}

/* The weight in one message of a destination dump, or -1 when it is another destination. */
static long weight_in(struct nlmsghdr *h, struct endpoint wanted) {
    struct nlattr *d = find(attributes_of(h), attributes_length(h), IPVS_CMD_ATTR_DEST);
    if (d == NULL) return -1;
    void *inner = (char *)d + NLA_HDRLEN;
    int length = d->nla_len - NLA_HDRLEN;
    struct nlattr *address = find(inner, length, IPVS_DEST_ATTR_ADDR);
    struct nlattr *weight = find(inner, length, IPVS_DEST_ATTR_WEIGHT);
    if (address == NULL || weight == NULL) return -1;
    if (memcmp((char *)address + NLA_HDRLEN, &wanted.address, 4) != 0) return -1;
    return *(int32_t *)((char *)weight + NLA_HDRLEN);
}

static long read_weight(int fd, const struct writer *request, struct endpoint wanted) {
    long found = -1;
    send_bytes(fd, request->bytes, request->length);
    for (;;) {
        int left = receive_bytes(fd, answers);
        for (struct nlmsghdr *h = (struct nlmsghdr *)answers; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE) return found;
            if (h->nlmsg_type == NLMSG_ERROR) die("dump refused");
            long weight = weight_in(h, wanted);
            if (weight >= 0) found = weight;
        }
    }
}

static int change(int argc, char **argv) {
    if (argc < 5) return 64;
    unsigned i = strtoul(argv[2], NULL, 10), k = strtoul(argv[3], NULL, 10);
    long weight = strtol(argv[4], NULL, 10);
    int pid = argc > 5 ? atoi(argv[5]) : 0, fd = open_socket();
    unsigned polls = 0;
    struct writer request = {0};
    begin_message(&request, resolve_ipvs(fd, answers), NLM_F_DUMP, IPVS_CMD_GET_DEST);
    size_t nest = begin_nest(&request, IPVS_CMD_ATTR_SERVICE);
    put_service_identity(&request, service_of(i));
    end_nest(&request, nest);
    end_message(&request);
    long before = read_weight(fd, &request, destination_of(i, k));
    if (before < 0 || before == weight) {
        fprintf(stderr, "bench: weight is %ld before the change to %ld\n", before, weight);
        return 1;
    }
    double start = now_ms(), elapsed = 0;
    if (rename(argv[0], argv[1]) != 0) die(argv[0]);
    if (pid > 0 && kill(pid, SIGHUP) != 0) die("signal");
    do {
        struct timespec pause = {.tv_nsec = POLL_NS};
        nanosleep(&pause, NULL);
        polls++;
        long seen = read_weight(fd, &request, destination_of(i, k));
        elapsed = now_ms() - start;
        if (seen == weight) {
            printf("{\"ms\":%.3f,\"polls\":%u}\n", elapsed, polls);
            return 0;
        }
    } while (elapsed < DEADLINE_MS);
    fprintf(stderr, "bench: the change did not reach the kernel within %d s\n", DEADLINE_MS / 1000);
    return 1;
}

static void serve(uint16_t port) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) die("socket");
    if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 4096) != 0) die("listen");
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client >= 0) close(client);
    }
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "run") == 0) return run(argv + 2);
    if (argc > 2 && strcmp(argv[1], "change") == 0) return change(argc - 2, argv + 2);
    if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(strtoul(argv[2], NULL, 10));
    fprintf(stderr, "usage: stopwatch run [-i INPUT] COMMAND...\n"
                    "       stopwatch change NEW TARGET I K WEIGHT [PID]\n"
                    "       stopwatch serve PORT\n");
    return 64;
}
