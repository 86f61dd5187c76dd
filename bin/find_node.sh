# Sourced by the programs of this folder: sets `node` to a Node that starts. npm puts the one of node_modules before the
# machine's own, and on a bare Debian it does not start for want of libatomic.so.1.
for node in "$here/../node_modules/.bin/node" "$npm_node_execpath" node nodejs /usr/local/bin/node /usr/bin/node; do
  [ -n "$node" ] && "$node" --version >/dev/null 2>&1 && return
done
echo "Signet needs Node 18 or later to begin with, and none is on this machine. Install the package nodejs." >&2
exit 127
