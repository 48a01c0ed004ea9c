"""Ctrl-C before a command runs."""

import subprocess
import sys

INTERRUPTED = """
import os, signal, sys, weakref
from comfyq.cli.command_table import all_commands

class Thing:
    pass

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "comfyq.cli.commands.up":
            thing = Thing()
            kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del thing

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
[up] = [each for each in all_commands() if each.name == "up"]
up.load()
print("it went on")
"""

INTERRUPTED_WHILE_COMMANDS_ARE_READ = """
import os, signal
import typer.main

signal.signal(signal.SIGINT, signal.default_int_handler)
typer.main.get_command = lambda app: os.kill(os.getpid(), signal.SIGINT)

from comfyq.cli import main
main()
"""


def test_ctrl_c_in_a_callback_of_an_import_ends_the_process() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (130, ""), ended.stderr


def test_ctrl_c_before_the_command_is_known_ends_the_process_without_a_traceback() -> None:
    command = [sys.executable, "-c", INTERRUPTED_WHILE_COMMANDS_ARE_READ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
