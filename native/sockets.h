// System calls behind the addon: sockets of a fixed list of kinds, with a fixed list of options.
// No JavaScript here. Every function returns a value of zero or more, or -errno.
#ifndef LVS_SOCKETS_H
#define LVS_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Most datagrams that one lvs_receive returns.
#define LVS_MAX_SLOTS 64u
// Bytes of socket address stored per datagram for kinds other than netlink.
#define LVS_ADDRESS_BYTES 32u
// Set in a length when the datagram was larger than its slot.
#define LVS_TRUNCATED 0x80000000u

// A socket of one allowed kind; -EPROTONOSUPPORT for any other. netns_path NULL = the namespace of
// the calling thread. Otherwise a thread that lives for this call enters the namespace, so that no
// thread of the process ever moves.
int lvs_open(int domain, int type, int protocol, const char *netns_path);

// Netlink only. The buffer must hold whole messages of correct lengths: the kernel would drop a
// broken one and everything after it without a word.
int lvs_send(int fd, int domain, const uint8_t *data, size_t length);

// Packet sockets only.
struct lvs_link_target {
  int interface_index;
  int ether_type;
  const uint8_t *address;
  size_t address_length;
};
int lvs_send_link(int fd, int domain, const uint8_t *data, size_t length,
                  const struct lvs_link_target *target);
int lvs_bind_link(int fd, int domain, int interface_index, int ether_type);
int lvs_join_multicast(int fd, int domain, int interface_index, const uint8_t *address,
                       size_t address_length);
// 1 = IPv6 neighbour solicitations and advertisements.
int lvs_attach_filter(int fd, int domain, int filter);

// Datagrams that are queued now, one per slot. lengths[i] is 0 for a netlink datagram that the
// kernel did not send. addresses may be NULL.
struct lvs_slots {
  uint8_t *data;
  size_t slot_bytes;
  size_t count;
  uint32_t *lengths;
  uint8_t *addresses;
};
int lvs_receive(int fd, int domain, const struct lvs_slots *slots);

int lvs_set_option(int fd, int domain, int level, int name, int value);
int lvs_get_option(int fd, int domain, int level, int name);

// Netlink port id that the kernel chose.
int lvs_port_id(int fd, int domain, uint32_t *port_id);

#endif
