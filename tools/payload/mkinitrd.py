#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/payload/mkinitrd.py - builds an initrd from a manifest.

Writes the cpio archive itself ("newc"), so that device nodes need no root and
equal inputs give equal bytes. A manifest has one entry a line:

    include FILE              the entries of another manifest beside this one
    dir PATH
    file PATH SOURCE [MODE]   SOURCE from the top of the tree
    link PATH TARGET          symbolic link
    node PATH MAJOR MINOR     character device
    root PATH                 a file of a guest root, at the same path
    rom NAME DIRECTORY...     a QEMU ROM, from the first directory that has it
    elf PATH                  a program of a guest root and its shared libraries
    module NAME               a kernel module and those it depends on, to
                              /modules, listed in /modules/order

Of several guest roots the first one that has a file gives it.
"""
import argparse
import gzip
import os
import re
import stat
import subprocess
import sys

LIBRARY_DIRS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64",
                "usr/lib", "usr/lib/x86_64-linux-gnu/pulseaudio")


class ManifestError(Exception):
    """Something a person must correct; the message says what."""


class Cpio:
    """The archive: path -> (mode, data, rdev), written in the order added."""

    def __init__(self):
        self.entries = {}

    def add(self, path, mode, data=b"", rdev=(0, 0)):
        path = path.lstrip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.add(parent, stat.S_IFDIR | 0o755)
        self.entries.setdefault(path, (mode, data, rdev))

    def bytes(self):
        out = bytearray()
        trailer = ("TRAILER!!!", (0, b"", (0, 0)))
        for inode, (path, entry) in enumerate([*self.entries.items(), trailer]):
            mode, data, (major, minor) = entry
            name = path.encode() + b"\0"
            fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor,
                      len(name), 0)
            out += b"070701" + b"".join(b"%08x" % f for f in fields) + name
            out += bytes(-len(out) % 4)
            out += data
            out += bytes(-len(out) % 4)
        return bytes(out)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Builder:
    """Turns manifest lines into archive entries."""

    def __init__(self, roots):
        self.roots = roots
        self.cpio = Cpio()
        self.module_order = []
        self.module_files = None

    def find(self, *paths):
        """The first of the paths that is a file in a guest root, there; None if none is."""
        full = (os.path.join(root, path.lstrip("/")) for root in self.roots for path in paths)
        return next(filter(os.path.isfile, full), None)

    def in_root(self, path):
        full = self.find(path)
        if not full:
            where = " ".join(self.roots)
            raise ManifestError(f"{path} is not in {where}; remove that and run make again")
        return full

    def manifest(self, path):
        with open(path, encoding="ascii") as f:
            for number, line in enumerate(f, 1):
                words = line.split("#")[0].split()
                if not words:
                    continue
                try:
                    if words[0] == "include":
                        self.manifest(os.path.join(os.path.dirname(path), words[1]))
                    else:
                        getattr(self, "do_" + words[0])(*words[1:])
                except (AttributeError, TypeError, IndexError):
                    raise ManifestError(f"{path}:{number}: cannot read {line.strip()!r}")
                except (ManifestError, OSError) as error:
                    raise ManifestError(f"{path}:{number}: {error}")

    def do_dir(self, path):
        self.cpio.add(path, stat.S_IFDIR | 0o755)

    def do_file(self, path, source, mode="644"):
        self.cpio.add(path, stat.S_IFREG | int(mode, 8), read(source))

    def do_link(self, path, target):
        self.cpio.add(path, stat.S_IFLNK | 0o777, target.encode())

    def do_node(self, path, major, minor):
        self.cpio.add(path, stat.S_IFCHR | 0o600, rdev=(int(major), int(minor)))

    def do_root(self, path):
        self.cpio.add(path, stat.S_IFREG | 0o755, read(self.in_root(path)))

    def do_rom(self, name, *directories):
        full = self.find(*(os.path.join(directory, name) for directory in directories))
        if not full:
            raise ManifestError(f"no ROM {name} in the guest root")
        self.cpio.add("/usr/share/qemu/" + name, stat.S_IFREG | 0o644, read(full))

    def do_elf(self, path):
        self.do_root(path)
        done, queue = set(), [self.in_root(path)]
        while queue:
            for library in self.needed(queue.pop()):
                if library in done:
                    continue
                done.add(library)
                queue.append(self.library(library))
                # One directory in the guest: the loader looks there unasked.
                self.cpio.add("/lib/x86_64-linux-gnu/" + library,
                              stat.S_IFREG | 0o755, read(queue[-1]))
        loader = "ld-linux-x86-64.so.2"
        self.cpio.add("/lib64/" + loader, stat.S_IFREG | 0o755,
                      read(self.library(loader)))

    def needed(self, path):
        out = subprocess.run(["readelf", "-d", path], check=True,
                             capture_output=True, text=True).stdout
        return re.findall(r"\(NEEDED\).*\[(.+)\]", out)

    def library(self, name):
        full = self.find(*(os.path.join(directory, name) for directory in LIBRARY_DIRS))
        if not full:
            raise ManifestError(f"no library {name} in the guest root")
        return full

    def do_module(self, name):
        file = self.find_module(name)
        # The loader reads "key=value" strings, each ended by a zero byte.
        info = re.search(rb"(?:^|\0)depends=([^\0]*)\0", read(file)).group(1)
        for dependency in filter(None, info.decode().split(",")):
            self.do_module(dependency)
        base = os.path.basename(file)
        if base not in self.module_order:
            self.module_order.append(base)
            self.cpio.add("/modules/" + base, stat.S_IFREG | 0o644, read(file))

    def find_module(self, name):
        if self.module_files is None:
            self.module_files = {
                file[:-3].replace("-", "_"): os.path.join(directory, file)
                for root in self.roots
                for directory, _, files in os.walk(os.path.join(root, "lib/modules"))
                for file in files if file.endswith(".ko")}
        name = name.replace("-", "_")
        if name not in self.module_files:
            raise ManifestError(f"the guest kernel has no module {name}")
        return self.module_files[name]

    def finish(self):
        order = "".join(module + "\n" for module in self.module_order)
        self.cpio.add("/modules/order", stat.S_IFREG | 0o644, order.encode())
        return self.cpio.bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--root", action="append", required=True,
                        help="unpacked Debian packages; may be given several times")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("manifest")
    args = parser.parse_args()
    builder = Builder(args.root)
    try:
        builder.manifest(args.manifest)
    except ManifestError as error:
        sys.exit(f"nestling: error: {error}")
    data = builder.finish()
    if args.output.endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    with open(args.output, "wb") as f:
        f.write(data)


if __name__ == "__main__":
    main()
