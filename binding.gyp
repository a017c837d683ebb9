{
  "targets": [
    {
      "target_name": "lvs_sockets",
      "sources": ["native/addon.c", "native/sockets.c"],
      "cflags": [
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wshadow",
        "-Wstrict-prototypes",
        "-fvisibility=hidden",
        "-fstack-protector-strong",
        "-fstack-clash-protection",
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=2"
      ],
      "ldflags": ["-Wl,-z,relro,-z,now,-z,noexecstack"]
    }
  ]
}
