#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// What may be opened. A new purpose (ICMP echo, SCTP, TCP with a mark) is a row here plus rows in
// `options`.
static const struct kind {
  int domain;
  int type;
  int protocol;
} kinds[] = {
    {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE},
    {AF_NETLINK, SOCK_RAW, NETLINK_GENERIC},
    // Protocol 0 receives nothing until lvs_bind_link names an interface and a protocol. DGRAM:
    // the kernel writes the link-layer header, so a sender cannot forge another machine's.
    {AF_PACKET, SOCK_DGRAM, 0},
};

static const struct option {
  int domain;
  int level;
  int name;
} options[] = {
    {AF_NETLINK, SOL_SOCKET, SO_RCVBUF},
    {AF_NETLINK, SOL_SOCKET, SO_RCVBUFFORCE},
    {AF_NETLINK, SOL_SOCKET, SO_SNDBUF},
    {AF_NETLINK, SOL_SOCKET, SO_SNDBUFFORCE},
    {AF_NETLINK, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP},
    {AF_NETLINK, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP},
    {AF_NETLINK, SOL_NETLINK, NETLINK_CAP_ACK},
    {AF_NETLINK, SOL_NETLINK, NETLINK_EXT_ACK},
    {AF_NETLINK, SOL_NETLINK, NETLINK_GET_STRICT_CHK},
    {AF_PACKET, SOL_SOCKET, SO_RCVBUF},
    {AF_PACKET, SOL_SOCKET, SO_RCVBUFFORCE},
};

static const int ether_types[] = {ETHERTYPE_ARP, ETHERTYPE_IPV6};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_allowed_kind(int domain, int type, int protocol) {
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    const struct kind *kind = &kinds[i];
    if (kind->domain == domain && kind->type == type && kind->protocol == protocol) return true;
  }
  return false;
}

static bool is_allowed_option(int domain, int level, int name) {
  for (size_t i = 0; i < COUNT_OF(options); i++) {
    const struct option *option = &options[i];
    if (option->domain == domain && option->level == level && option->name == name) return true;
  }
  return false;
}

static bool is_allowed_ether_type(int ether_type) {
  for (size_t i = 0; i < COUNT_OF(ether_types); i++) {
    if (ether_types[i] == ether_type) return true;
  }
  return false;
}

// Ethernet has 6; 8 is the most that the kernel's structures hold.
static bool is_link_address(size_t length) { return length >= 1 && length <= 8; }

static int close_with(int fd, int result) {
  close(fd);
  return result;
}

// Binding makes the kernel choose the port now; connecting to port 0 makes it refuse datagrams
// that other processes send to that port.
static int prepare_netlink(int fd) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  const struct sockaddr *generic = (const struct sockaddr *)&address;
  if (bind(fd, generic, sizeof(address)) < 0) return -errno;
  if (connect(fd, generic, sizeof(address)) < 0) return -errno;
  return 0;
}

static int open_here(int domain, int type, int protocol) {
  int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return -errno;
  int result = domain == AF_NETLINK ? prepare_netlink(fd) : 0;
  return result < 0 ? close_with(fd, result) : fd;
}

struct open_job {
  int domain;
  int type;
  int protocol;
  const char *netns_path;
  int result;
};

static int open_in(const struct open_job *job) {
  int netns = open(job->netns_path, O_RDONLY | O_CLOEXEC);
  if (netns < 0) return -errno;
  if (setns(netns, CLONE_NEWNET) < 0) return close_with(netns, -errno);
  return close_with(netns, open_here(job->domain, job->type, job->protocol));
}

static void *open_thread(void *argument) {
  struct open_job *job = argument;
  job->result = open_in(job);
  return NULL;
}

// A signal handler of the process must not run on a thread that is in another namespace.
static int run_without_signals(struct open_job *job) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return -error;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  error = pthread_attr_setstacksize(&attributes, 256 * 1024);
  if (error == 0) error = pthread_create(&thread, &attributes, open_thread, job);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (error != 0) return -error;
  error = pthread_join(thread, NULL);
  return error != 0 ? -error : job->result;
}

int lvs_open(int domain, int type, int protocol, const char *netns_path) {
  if (!is_allowed_kind(domain, type, protocol)) return -EPROTONOSUPPORT;
  if (netns_path == NULL) return open_here(domain, type, protocol);
  struct open_job job = {domain, type, protocol, netns_path, -EINVAL};
  return run_without_signals(&job);
}

static bool holds_whole_messages(const uint8_t *data, size_t length) {
  size_t at = 0;
  while (at < length) {
    struct nlmsghdr header;
    if (length - at < sizeof(header)) return false;
    memcpy(&header, data + at, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length - at) return false;
    if (header.nlmsg_len % NLMSG_ALIGNTO != 0) return false;
    at += header.nlmsg_len;
  }
  return length > 0;
}

static int result_of(ssize_t result) {
  if (result < 0) return -errno;
  return result > INT_MAX ? -EMSGSIZE : (int)result;
}

int lvs_send(int fd, int domain, const uint8_t *data, size_t length) {
  if (domain != AF_NETLINK) return -EOPNOTSUPP;
  if (!holds_whole_messages(data, length)) return -EINVAL;
  ssize_t sent;
  do {
    sent = send(fd, data, length, MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return result_of(sent);
}

int lvs_send_link(int fd, int domain, const uint8_t *data, size_t length,
                  const struct lvs_link_target *target) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET};
  if (domain != AF_PACKET) return -EOPNOTSUPP;
  if (!is_allowed_ether_type(target->ether_type)) return -EPROTONOSUPPORT;
  if (length == 0 || target->interface_index <= 0) return -EINVAL;
  if (!is_link_address(target->address_length)) return -EINVAL;
  address.sll_protocol = htons((uint16_t)target->ether_type);
  address.sll_ifindex = target->interface_index;
  address.sll_halen = (unsigned char)target->address_length;
  memcpy(address.sll_addr, target->address, target->address_length);
  ssize_t sent;
  do {
    sent = sendto(fd, data, length, MSG_DONTWAIT, (const struct sockaddr *)&address,
                  sizeof(address));
  } while (sent < 0 && errno == EINTR);
  return result_of(sent);
}

int lvs_bind_link(int fd, int domain, int interface_index, int ether_type) {
  if (domain != AF_PACKET) return -EOPNOTSUPP;
  if (!is_allowed_ether_type(ether_type)) return -EPROTONOSUPPORT;
  // Index 0 would receive from every interface.
  if (interface_index <= 0) return -EINVAL;
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET,
      .sll_protocol = htons((uint16_t)ether_type),
      .sll_ifindex = interface_index,
  };
  return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int lvs_join_multicast(int fd, int domain, int interface_index, const uint8_t *address,
                       size_t address_length) {
  struct packet_mreq request = {.mr_ifindex = interface_index, .mr_type = PACKET_MR_MULTICAST};
  if (domain != AF_PACKET) return -EOPNOTSUPP;
  if (interface_index <= 0 || !is_link_address(address_length)) return -EINVAL;
  request.mr_alen = (unsigned short)address_length;
  memcpy(request.mr_address, address, address_length);
  int result = setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request));
  return result < 0 ? -errno : 0;
}

// Offsets from the network header, whatever is before it: 6 = next header, 40 = ICMPv6 type.
static struct sock_filter neighbour_discovery[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 4),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + 40),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 135, 1, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

int lvs_attach_filter(int fd, int domain, int filter) {
  if (domain != AF_PACKET) return -EOPNOTSUPP;
  if (filter != 1) return -EINVAL;
  struct sock_fprog program = {
      .len = COUNT_OF(neighbour_discovery),
      .filter = neighbour_discovery,
  };
  int result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
  return result < 0 ? -errno : 0;
}

static bool is_from_kernel(const struct sockaddr_storage *address, socklen_t length) {
  struct sockaddr_nl sender;
  if (length != sizeof(sender)) return false;
  memcpy(&sender, address, sizeof(sender));
  return sender.nl_family == AF_NETLINK && sender.nl_pid == 0;
}

static uint32_t length_of(const struct mmsghdr *message, size_t slot_bytes, int domain,
                          const struct sockaddr_storage *address) {
  if (domain == AF_NETLINK && !is_from_kernel(address, message->msg_hdr.msg_namelen)) return 0;
  uint32_t length = message->msg_len < slot_bytes ? message->msg_len : (uint32_t)slot_bytes;
  bool truncated = (message->msg_hdr.msg_flags & MSG_TRUNC) != 0;
  return truncated ? length | LVS_TRUNCATED : length;
}

int lvs_receive(int fd, int domain, const struct lvs_slots *slots) {
  struct mmsghdr messages[LVS_MAX_SLOTS];
  struct iovec parts[LVS_MAX_SLOTS];
  struct sockaddr_storage addresses[LVS_MAX_SLOTS];
  if (slots->count == 0 || slots->count > LVS_MAX_SLOTS) return -EINVAL;
  memset(messages, 0, sizeof(messages[0]) * slots->count);
  memset(addresses, 0, sizeof(addresses[0]) * slots->count);
  for (size_t i = 0; i < slots->count; i++) {
    parts[i].iov_base = slots->data + i * slots->slot_bytes;
    parts[i].iov_len = slots->slot_bytes;
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &addresses[i];
    messages[i].msg_hdr.msg_namelen = sizeof(addresses[i]);
  }
  int received;
  do {
    received = recvmmsg(fd, messages, (unsigned int)slots->count, MSG_DONTWAIT, NULL);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  for (size_t i = 0; i < (size_t)received; i++) {
    slots->lengths[i] = length_of(&messages[i], slots->slot_bytes, domain, &addresses[i]);
    if (slots->addresses == NULL) continue;
    memcpy(slots->addresses + i * LVS_ADDRESS_BYTES, &addresses[i], LVS_ADDRESS_BYTES);
  }
  return received;
}

int lvs_set_option(int fd, int domain, int level, int name, int value) {
  if (!is_allowed_option(domain, level, name)) return -ENOPROTOOPT;
  return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

int lvs_get_option(int fd, int domain, int level, int name) {
  int value = 0;
  socklen_t length = sizeof(value);
  if (!is_allowed_option(domain, level, name)) return -ENOPROTOOPT;
  return getsockopt(fd, level, name, &value, &length) < 0 ? -errno : value;
}

int lvs_port_id(int fd, int domain, uint32_t *port_id) {
  struct sockaddr_nl address = {0};
  socklen_t length = sizeof(address);
  if (domain != AF_NETLINK) return -EOPNOTSUPP;
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) return -errno;
  *port_id = address.nl_pid;
  return 0;
}
