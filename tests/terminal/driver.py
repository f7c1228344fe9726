"""Gives a command a terminal of its own and plays a person in front of it.

Arguments: a JSON scenario, then the command. The scenario has `streams` (which of "in", "out",
"err" are the terminal; the others are pipes) and `steps`:

    ["expect", TEXT]        wait until the screen shows this, behind what was expected before
    ["type", TEXT]          keys
    ["resize", ROWS, COLS]  change the window
    ["close"]               hang up: close the terminal's other side

Prints JSON: screen, piped (standard output and error that are pipes), code, and whether the
terminal's mode at the end is the one at the start.
"""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
master, slave = pty.openpty()
mode = termios.tcgetattr(slave)
screen = b""
seen = 0


def resize(rows, cols):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def read_for(seconds):
    """Adds what the screen shows within this time; False when nothing more can come."""
    global screen
    if not select.select([master], [], [], seconds)[0]:
        return True
    try:
        shown = os.read(master, 65536)
    except OSError:
        return False
    screen += shown
    return bool(shown)


def own_terminal():
    """In the child: a session whose controlling terminal is the new one."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def stream(name, otherwise):
    return slave if name in scenario["streams"] else otherwise


resize(24, 80)
child = subprocess.Popen(
    command,
    stdin=stream("in", subprocess.DEVNULL),
    stdout=stream("out", subprocess.PIPE),
    stderr=stream("err", subprocess.PIPE),
    preexec_fn=own_terminal,
)
for step, *words in scenario["steps"]:
    if step == "expect":
        text = words[0].encode()
        end = time.monotonic() + 20
        while text not in screen[seen:]:
            if time.monotonic() > end:
                child.kill()
                sys.exit(f"{words[0]!r} was not shown, but {screen.decode(errors='replace')!r}")
            read_for(0.2)
        seen = screen.index(text, seen) + len(text)
    elif step == "type":
        os.write(master, words[0].encode())
    elif step == "resize":
        resize(*words)
    elif step == "close":
        os.close(slave)
        os.close(master)
        slave = master = None

piped = ""
while child.poll() is None:
    if master is not None:
        read_for(0.05)
    else:
        time.sleep(0.05)
for pipe in (child.stdout, child.stderr):
    piped += pipe.read().decode() if pipe else ""
# What was written before the end is still in the terminal.
while master is not None and select.select([master], [], [], 0)[0] and read_for(0):
    pass
code = child.returncode if child.returncode >= 0 else 128 - child.returncode
restored = slave is not None and termios.tcgetattr(slave) == mode
print(json.dumps({"screen": screen.decode(errors="replace"), "piped": piped, "code": code, "restored": restored}))
