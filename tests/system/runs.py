# SPDX-License-Identifier: MIT
"""tests/system/runs.py - reads tests/guests.cfg: what each run consists of.

Pure: no run is started here. A misspelt key is an error, so that no expectation
is lost silently. The keys are explained at the top of tests/guests.cfg.
"""
import configparser
import glob
import os
import re
from dataclasses import dataclass

CONFIG = "tests/guests.cfg"
TEST_KERNELS = "build/tests/guest/{}.elf"

LEVEL_MEMORY = 256  # MiB that each level of a nested run has for itself

GROUPS = ("check", "test", "by-hand")


class ConfigError(Exception):
    """tests/guests.cfg is wrong; the message names the section."""


@dataclass
class Run:
    """One section of tests/guests.cfg."""
    name: str
    group: str = "test"
    engine: str = "qemu"
    cpu: str = "max,+svm"
    smp: str = "2"
    memory: str = "2G"
    firmware: str = "bios"
    media: str = "cd"
    accel: str = "tcg"
    options: str = ""
    modules: tuple = ()
    guests: str = ""
    texts: tuple = ()
    depth: int = 1
    dialogue: tuple = ()
    scenarios: bool = False
    control: str = ""
    words: str = ""
    excused: tuple = ()
    net: str = ""
    flood: int = 20
    end: str = "off"
    limit: int = 120
    ports: dict = None  # of the network plane; machine.choose_ports()

    def check(self):
        allowed = {"group": GROUPS, "engine": ("qemu", "bochs"), "firmware": ("bios", "uefi"), "media": ("cd", "usb"),
                   "end": ("off", "halt")}
        for key, values in allowed.items():
            if getattr(self, key) not in values:
                raise ConfigError(f"[{self.name}] {key} is none of {', '.join(values)}")
        if not self.dialogue:
            raise ConfigError(f"[{self.name}] expects nothing; give it a dialogue")
        if self.depth > 1 and not self.guests:
            raise ConfigError(f"[{self.name}] has nothing to run at depth {self.depth}")

    def megabytes(self):
        """The machine's memory."""
        return int(self.memory[:-1]) * {"M": 1, "G": 1024}[self.memory[-1]]

    def configs(self):
        """The text of nestling.cfg for each Nestling of the run, the outermost first."""
        texts = [self.guests]
        while len(texts) < self.depth:
            texts.insert(0, self._around(texts))
        return texts

    def _around(self, inner):
        """What a Nestling is told that runs another one, which gets the texts of inner.

        All that the deeper levels need goes through its hands; its guest's own description
        must bear the name that Nestling looks for.
        """
        first = self.depth - len(inner)
        modules = [f"level{first}.cfg nestling.cfg"]
        modules += [f"level{first + n}.cfg" for n in range(1, len(inner))]
        modules += ["nestling.elf"] * (len(inner) > 1) + [name for name, _ in self.modules]
        memory = LEVEL_MEMORY * (len(inner) + 1)
        options = [f"vcpus {self.smp}", f"memory {memory}M", "image nestling.elf"]
        options += [f"module {module}" for module in modules]
        return f"guest nestling{first}\n" + "".join(f"  {option}\n" for option in options)


def _dialogue(name, text):
    steps, begin, times = [], 0, None
    for line in filter(None, text.splitlines()):
        match = re.fullmatch(r"([<>!*@]) ?(.*)", line)
        if not match:
            raise ConfigError(f"[{name}] dialogue line begins with none of < > ! * @: {line!r}")
        kind, step = match.groups()
        if kind == "*":
            if (times is None) != step.isdecimal():
                raise ConfigError(f"[{name}] dialogue: '* N' begins what is repeated, '*' ends it")
            if times is None:
                begin, times = len(steps), int(step)
            else:
                steps[begin:], times = steps[begin:] * times, None
            continue
        if kind == "!":
            step = re.sub(r"\^(.)", lambda key: chr(ord(key.group(1)) & 0x1F), step)
        steps.append((kind, step))
    if times is not None:
        raise ConfigError(f"[{name}] dialogue: nothing ends what is repeated")
    return tuple(steps)


def _run(name, section, kernel):
    fields = {}
    for key, text in section.items():
        value = text.strip().replace("{kernel}", kernel)
        if key.startswith("text "):
            value = fields.get("texts", ()) + ((key.removeprefix("text "), value + "\n"),)
            key = "texts"
        elif key == "dialogue":
            value = _dialogue(name, value)
        elif key == "modules":
            value = tuple(word.partition("=")[::2] for word in value.split())
        elif key == "excused":
            value = tuple(value.split())
        elif key == "guests":
            value = value + "\n" if value else ""
        elif key == "scenarios":
            value = value == "yes"
        elif key in ("limit", "depth", "flood"):
            value = int(value)
        elif key not in Run.__dataclass_fields__:
            raise ConfigError(f"[{name}] has the unknown key {key!r}")
        fields[key] = value
    run = Run(name, **fields)
    run.check()
    return run


def load(path=CONFIG):
    """All runs, in the order of the file. [t_*] stands for every test kernel that is built."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",),
                                       comment_prefixes=("#",), strict=True)
    with open(path, encoding="ascii") as f:
        parser.read_file(f)
    runs = []
    for section in parser.sections():
        names = [section]
        prefix, star, _ = section.partition("t_*")
        if star:
            files = sorted(glob.glob(TEST_KERNELS.format("t_*")))
            names = [prefix + os.path.basename(file)[:-len(".elf")] for file in files]
            names = [name for name in names if not parser.has_section(name)]
        runs += [_run(name, parser[section], TEST_KERNELS.format(name[len(prefix):] if star else name))
                 for name in names]
    return runs


def find(name):
    """The run of that name."""
    for run in load():
        if run.name == name:
            return run
    raise ConfigError(f"{CONFIG} has no run [{name}]")
