# Sourced by the programs of this folder: how glibc's malloc behaves. Other C libraries do not read it, and an operator's own word is kept.
# A password hash takes 19 MiB for 40 ms. Left to itself malloc gives them back each time and keeps a heap a thread, so that the
# kernel clears them anew for every sign-in (a tenth of its time); with one heap that keeps what was freed it does so once.
case ":$GLIBC_TUNABLES" in
  *:glibc.malloc.*) ;;
  *)
    GLIBC_TUNABLES="glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=134217728${GLIBC_TUNABLES:+:$GLIBC_TUNABLES}"
    export GLIBC_TUNABLES
    ;;
esac
