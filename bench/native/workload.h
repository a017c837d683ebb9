/*
 * The table that every contestant programs. bench/lib/workload.ts says the same in TypeScript; the
 * runner compares the tables that result.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "genl.h"

struct endpoint {
    uint32_t address; /* network order */
    uint16_t port;    /* host order */
};

/* A hundred services, one port each, share a VIP. */
static inline struct endpoint service_of(unsigned i) {
    unsigned vip = i / 100;
    return (struct endpoint){htonl(10u << 24 | 100u << 16 | (vip / 250) << 8 | (vip % 250 + 1)),
                             (uint16_t)(1000 + i % 100)};
}

/* No two services share a real server, as when each is a pod of its own. */
static inline struct endpoint destination_of(unsigned i, unsigned k) {
    return (struct endpoint){htonl(10u << 24 | (128u + k) << 16 | (i / 250) << 8 | (i % 250 + 1)), 8080};
}

static inline void put_service_identity(struct writer *w, struct endpoint service) {
    uint16_t port = htons(service.port);
    put_u16(w, IPVS_SVC_ATTR_AF, AF_INET);
    put_u16(w, IPVS_SVC_ATTR_PROTOCOL, IPPROTO_TCP);
    put(w, IPVS_SVC_ATTR_ADDR, &service.address, 4);
    put(w, IPVS_SVC_ATTR_PORT, &port, 2);
}

static inline void put_create_service(struct writer *w, int family, unsigned i) {
    struct ip_vs_flags flags = {.flags = 0, .mask = ~0u};
    begin_message(w, family, 0, IPVS_CMD_NEW_SERVICE);
    size_t nest = begin_nest(w, IPVS_CMD_ATTR_SERVICE);
    put_service_identity(w, service_of(i));
    put(w, IPVS_SVC_ATTR_SCHED_NAME, "rr", 3);
    put(w, IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags);
    put_u32(w, IPVS_SVC_ATTR_TIMEOUT, 0);
    put_u32(w, IPVS_SVC_ATTR_NETMASK, ~0u);
    end_nest(w, nest);
    end_message(w);
}

static inline void put_create_destination(struct writer *w, int family, unsigned i, unsigned k) {
    struct endpoint destination = destination_of(i, k);
    uint16_t port = htons(destination.port);
    begin_message(w, family, 0, IPVS_CMD_NEW_DEST);
    size_t nest = begin_nest(w, IPVS_CMD_ATTR_SERVICE);
    put_service_identity(w, service_of(i));
    end_nest(w, nest);
    nest = begin_nest(w, IPVS_CMD_ATTR_DEST);
    put(w, IPVS_DEST_ATTR_ADDR, &destination.address, 4);
    put(w, IPVS_DEST_ATTR_PORT, &port, 2);
    put_u32(w, IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
    put_u32(w, IPVS_DEST_ATTR_WEIGHT, 1);
    put_u32(w, IPVS_DEST_ATTR_U_THRESH, 0);
    put_u32(w, IPVS_DEST_ATTR_L_THRESH, 0);
    put_u16(w, IPVS_DEST_ATTR_ADDR_FAMILY, AF_INET);
    end_nest(w, nest);
    end_message(w);
}

#endif
