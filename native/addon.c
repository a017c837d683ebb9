// Node-API face of sockets.c. A wrong type throws TypeError, because it is a mistake in our own
// TypeScript; everything the kernel or a closed socket can say is a number.
#define NAPI_VERSION 8
#include <node_api.h>
#include <uv.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sockets.h"

#define MAX_PATH_BYTES 4096
#define MAX_ARGUMENTS 5

struct watch;

// One socket. `prev` and `next` list the sockets of one environment (main thread or worker), so
// that all are closed when it ends.
struct handle {
  int fd;
  int domain;
  struct watch *watch;
  struct handle *prev;
  struct handle *next;
};

// Readiness of one socket. Lives on after its socket until libuv has let go of it.
struct watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_cleanup_hook_handle hook;
  struct handle *owner;
};

static const napi_type_tag handle_tag = {0x6c76736f70657261ULL, 0x746f72736f636b31ULL};

// --- lifetime ---------------------------------------------------------------------------------

static void on_watch_closed(uv_handle_t *poll) {
  struct watch *watch = poll->data;
  napi_remove_async_cleanup_hook(watch->hook);
  free(watch);
}

static void stop_watch(struct watch *watch) {
  if (watch->owner == NULL) return;
  watch->owner->watch = NULL;
  watch->owner = NULL;
  napi_delete_reference(watch->env, watch->callback);
  // Once stopped, libuv no longer touches the descriptor, so it may be closed at once.
  uv_poll_stop(&watch->poll);
  uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static void on_environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  // on_watch_closed tells the environment when it may go on.
  stop_watch(data);
}

static void close_handle(struct handle *handle) {
  if (handle->watch != NULL) stop_watch(handle->watch);
  if (handle->fd >= 0) close(handle->fd);
  handle->fd = -1;
}

static void unlink_handle(struct handle *handle) {
  handle->prev->next = handle->next;
  handle->next->prev = handle->prev;
  handle->prev = handle;
  handle->next = handle;
}

static void close_all(void *data) {
  struct handle *list = data;
  while (list->next != list) {
    struct handle *handle = list->next;
    close_handle(handle);
    unlink_handle(handle);
  }
}

static void finalize_handle(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct handle *handle = data;
  close_handle(handle);
  unlink_handle(handle);
  free(handle);
}

static void free_list(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  close_all(data);
  free(data);
}

// --- arguments --------------------------------------------------------------------------------

struct call {
  napi_env env;
  size_t count;
  napi_value arguments[MAX_ARGUMENTS];
};

static bool fail(napi_env env, const char *message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, NULL, message);
  return false;
}

static struct call get_call(napi_env env, napi_callback_info info) {
  struct call call = {.env = env, .count = MAX_ARGUMENTS};
  if (napi_get_cb_info(env, info, &call.count, call.arguments, NULL, NULL) != napi_ok) {
    call.count = 0;
  }
  return call;
}

static bool get_int(const struct call *call, size_t index, int32_t *value) {
  double number;
  if (napi_get_value_double(call->env, call->arguments[index], &number) != napi_ok) {
    return fail(call->env, "a number is needed");
  }
  if (!(number >= INT32_MIN && number <= INT32_MAX) || number != (double)(int32_t)number) {
    return fail(call->env, "a 32-bit integer is needed");
  }
  *value = (int32_t)number;
  return true;
}

static bool is_given(const struct call *call, size_t index) {
  if (index >= call->count) return false;
  napi_valuetype type = napi_undefined;
  napi_typeof(call->env, call->arguments[index], &type);
  return type != napi_undefined && type != napi_null;
}

// A view of `element` type; a detached one has no bytes.
static bool get_view(const struct call *call, size_t index, napi_typedarray_type element,
                     void **data, size_t *length) {
  bool is_view = false;
  napi_typedarray_type type = napi_int8_array;
  napi_value value = call->arguments[index];
  if (napi_is_typedarray(call->env, value, &is_view) != napi_ok || !is_view ||
      napi_get_typedarray_info(call->env, value, &type, length, data, NULL, NULL) != napi_ok ||
      type != element) {
    return fail(call->env, "a typed array of the right element type is needed");
  }
  if (*data == NULL) *length = 0;
  return true;
}

static bool get_bytes(const struct call *call, size_t index, uint8_t **data, size_t *length) {
  void *bytes = NULL;
  bool ok = get_view(call, index, napi_uint8_array, &bytes, length);
  *data = bytes;
  return ok;
}

static bool get_handle(const struct call *call, struct handle **handle) {
  bool tagged = false;
  void *data = NULL;
  if (call->count == 0 ||
      napi_check_object_type_tag(call->env, call->arguments[0], &handle_tag, &tagged) != napi_ok ||
      !tagged || napi_unwrap(call->env, call->arguments[0], &data) != napi_ok) {
    return fail(call->env, "a socket is needed");
  }
  *handle = data;
  return true;
}

static napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

// --- functions --------------------------------------------------------------------------------

static napi_value wrap_handle(napi_env env, int fd, int domain) {
  napi_value object = NULL;
  struct handle *list = NULL;
  struct handle *handle = calloc(1, sizeof(*handle));
  if (handle == NULL || napi_get_instance_data(env, (void **)&list) != napi_ok ||
      napi_create_object(env, &object) != napi_ok ||
      napi_wrap(env, object, handle, finalize_handle, NULL, NULL) != napi_ok) {
    free(handle);
    close(fd);
    return number(env, -ENOMEM);
  }
  // From here on the finalizer owns the handle and its descriptor.
  handle->fd = fd;
  handle->domain = domain;
  handle->next = list->next;
  handle->prev = list;
  list->next->prev = handle;
  list->next = handle;
  if (napi_type_tag_object(env, object, &handle_tag) != napi_ok) {
    close_handle(handle);
    return number(env, -ENOMEM);
  }
  return object;
}

// Returns 0 or -errno; -EINVAL when the text is not a path.
static int get_path(const struct call *call, size_t index, char *path) {
  size_t length = 0;
  if (napi_get_value_string_utf8(call->env, call->arguments[index], path, MAX_PATH_BYTES,
                                 &length) != napi_ok) {
    return -EINVAL;
  }
  if (length + 1 >= MAX_PATH_BYTES) return -ENAMETOOLONG;
  return length == 0 || strlen(path) != length ? -EINVAL : 0;
}

// open(domain, type, protocol, netnsPath?) -> socket or -errno
static napi_value open_socket(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  int32_t domain, type, protocol;
  if (!get_int(&call, 0, &domain) || !get_int(&call, 1, &type) || !get_int(&call, 2, &protocol)) {
    return NULL;
  }
  char path[MAX_PATH_BYTES];
  bool elsewhere = is_given(&call, 3);
  int fd = elsewhere ? get_path(&call, 3, path) : 0;
  if (fd == 0) fd = lvs_open(domain, type, protocol, elsewhere ? path : NULL);
  return fd < 0 ? number(env, fd) : wrap_handle(env, fd, domain);
}

// send(socket, bytes, length) -> bytes sent or -errno
static napi_value send_messages(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  uint8_t *data;
  size_t size;
  int32_t length;
  if (!get_handle(&call, &handle) || !get_bytes(&call, 1, &data, &size) ||
      !get_int(&call, 2, &length)) {
    return NULL;
  }
  if (handle->fd < 0) return number(env, -EBADF);
  if (length <= 0 || (size_t)length > size) return number(env, -EINVAL);
  return number(env, lvs_send(handle->fd, handle->domain, data, (size_t)length));
}

// sendLink(socket, payload, interfaceIndex, etherType, address) -> bytes sent or -errno
static napi_value send_link(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  uint8_t *data, *address;
  size_t size;
  struct lvs_link_target target;
  if (!get_handle(&call, &handle) || !get_bytes(&call, 1, &data, &size) ||
      !get_int(&call, 2, &target.interface_index) || !get_int(&call, 3, &target.ether_type) ||
      !get_bytes(&call, 4, &address, &target.address_length)) {
    return NULL;
  }
  target.address = address;
  if (handle->fd < 0) return number(env, -EBADF);
  return number(env, lvs_send_link(handle->fd, handle->domain, data, size, &target));
}

// receive(socket, buffer, slotBytes, lengths, addresses?) -> datagrams or -errno
static napi_value receive_datagrams(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  struct lvs_slots slots = {0};
  void *lengths = NULL;
  size_t size = 0;
  size_t address_bytes = 0;
  int32_t slot_bytes;
  if (!get_handle(&call, &handle) || !get_bytes(&call, 1, &slots.data, &size) ||
      !get_int(&call, 2, &slot_bytes) ||
      !get_view(&call, 3, napi_uint32_array, &lengths, &slots.count)) {
    return NULL;
  }
  bool wants_addresses = is_given(&call, 4);
  if (wants_addresses && !get_bytes(&call, 4, &slots.addresses, &address_bytes)) return NULL;
  if (handle->fd < 0) return number(env, -EBADF);
  if (slot_bytes < 64 || slot_bytes % 8 != 0) return number(env, -EINVAL);
  if (slots.count == 0 || slots.count > LVS_MAX_SLOTS) return number(env, -EINVAL);
  slots.slot_bytes = (size_t)slot_bytes;
  slots.lengths = lengths;
  if (size / slots.slot_bytes < slots.count) return number(env, -EINVAL);
  if (wants_addresses && address_bytes / LVS_ADDRESS_BYTES < slots.count) {
    return number(env, -EINVAL);
  }
  return number(env, lvs_receive(handle->fd, handle->domain, &slots));
}

// setOption(socket, level, name, value) -> 0 or -errno
static napi_value set_option(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  int32_t level, name, value;
  if (!get_handle(&call, &handle) || !get_int(&call, 1, &level) || !get_int(&call, 2, &name) ||
      !get_int(&call, 3, &value)) {
    return NULL;
  }
  if (handle->fd < 0) return number(env, -EBADF);
  return number(env, lvs_set_option(handle->fd, handle->domain, level, name, value));
}

// getOption(socket, level, name) -> value or -errno
static napi_value get_option(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  int32_t level, name;
  if (!get_handle(&call, &handle) || !get_int(&call, 1, &level) || !get_int(&call, 2, &name)) {
    return NULL;
  }
  if (handle->fd < 0) return number(env, -EBADF);
  return number(env, lvs_get_option(handle->fd, handle->domain, level, name));
}

// bindLink(socket, interfaceIndex, etherType) -> 0 or -errno
static napi_value bind_link(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  int32_t interface_index, ether_type;
  if (!get_handle(&call, &handle) || !get_int(&call, 1, &interface_index) ||
      !get_int(&call, 2, &ether_type)) {
    return NULL;
  }
  if (handle->fd < 0) return number(env, -EBADF);
  return number(env, lvs_bind_link(handle->fd, handle->domain, interface_index, ether_type));
}

// attachFilter(socket, filter) -> 0 or -errno
static napi_value attach_filter(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  int32_t filter;
  if (!get_handle(&call, &handle) || !get_int(&call, 1, &filter)) return NULL;
  if (handle->fd < 0) return number(env, -EBADF);
  return number(env, lvs_attach_filter(handle->fd, handle->domain, filter));
}

// joinMulticast(socket, interfaceIndex, address) -> 0 or -errno
static napi_value join_multicast(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  int32_t interface_index;
  uint8_t *address;
  size_t length;
  if (!get_handle(&call, &handle) || !get_int(&call, 1, &interface_index) ||
      !get_bytes(&call, 2, &address, &length)) {
    return NULL;
  }
  if (handle->fd < 0) return number(env, -EBADF);
  int result = lvs_join_multicast(handle->fd, handle->domain, interface_index, address, length);
  return number(env, result);
}

// portId(socket) -> port id or -errno
static napi_value port_id(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  uint32_t port = 0;
  if (!get_handle(&call, &handle)) return NULL;
  if (handle->fd < 0) return number(env, -EBADF);
  int result = lvs_port_id(handle->fd, handle->domain, &port);
  return number(env, result < 0 ? (double)result : (double)port);
}

// close(socket)
static napi_value close_socket(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  if (get_handle(&call, &handle)) close_handle(handle);
  return NULL;
}

// --- readiness --------------------------------------------------------------------------------

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct watch *watch = poll->data;
  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_value callback, global;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, watch->callback, &callback) == napi_ok &&
      napi_get_global(env, &global) == napi_ok) {
    // The callback may stop the watch: it must not be used after this line.
    napi_status called = napi_make_callback(env, NULL, global, callback, 0, NULL, NULL);
    napi_value exception;
    if (called == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
      napi_fatal_exception(env, exception);
    }
  }
  napi_close_handle_scope(env, scope);
}

static int start_watch(napi_env env, struct handle *handle, napi_value callback) {
  uv_loop_t *loop;
  struct watch *watch = calloc(1, sizeof(*watch));
  if (watch == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_reference(env, callback, 1, &watch->callback) != napi_ok) {
    free(watch);
    return -ENOMEM;
  }
  int result = uv_poll_init(loop, &watch->poll, handle->fd);
  if (result < 0) {
    napi_delete_reference(env, watch->callback);
    free(watch);
    return result;
  }
  watch->poll.data = watch;
  watch->env = env;
  watch->owner = handle;
  handle->watch = watch;
  napi_add_async_cleanup_hook(env, on_environment_ends, watch, &watch->hook);
  result = uv_poll_start(&watch->poll, UV_READABLE, on_readable);
  if (result < 0) stop_watch(watch);
  return result;
}

// watch(socket, callback or null) -> 0 or -errno; replaces the watch before
static napi_value watch_socket(napi_env env, napi_callback_info info) {
  struct call call = get_call(env, info);
  struct handle *handle;
  if (!get_handle(&call, &handle)) return NULL;
  bool wanted = is_given(&call, 1);
  napi_valuetype type = napi_undefined;
  if (wanted) napi_typeof(env, call.arguments[1], &type);
  if (wanted && type != napi_function) {
    fail(env, "a function or null is needed");
    return NULL;
  }
  if (handle->watch != NULL) stop_watch(handle->watch);
  if (!wanted) return number(env, 0);
  if (handle->fd < 0) return number(env, -EBADF);
  return number(env, start_watch(env, handle, call.arguments[1]));
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"open", open_socket},         {"send", send_messages},
      {"sendLink", send_link},       {"receive", receive_datagrams},
      {"setOption", set_option},     {"getOption", get_option},
      {"bindLink", bind_link},       {"attachFilter", attach_filter},
      {"joinMulticast", join_multicast}, {"watch", watch_socket},
      {"portId", port_id},           {"close", close_socket},
  };
  struct handle *list = calloc(1, sizeof(*list));
  if (list == NULL) return NULL;
  list->fd = -1;
  list->prev = list;
  list->next = list;
  if (napi_set_instance_data(env, list, free_list, NULL) != napi_ok) {
    free(list);
    return NULL;
  }
  napi_add_env_cleanup_hook(env, close_all, list);
  for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
                             &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok) {
      return NULL;
    }
  }
  return exports;
}
