"""
The front door of the rehearsal, which leaves nothing behind.

    demo, shell         see rehearsal/demo.py and rehearsal/shell.py
    test [ARGUMENT...]  pytest, in the sandbox
    enter -- COMMAND    any command, in the sandbox
    build               only make the images that are missing

The sandbox takes root. Without it, demo, shell and test run in a personal pool: see rehearsal/personal.py.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from rehearsal import narration, personal, sandbox
from rehearsal.aftermath import Aftermath
from rehearsal.cache import Cache
from rehearsal.image import ImageError, Images, find

_SCENES = {"demo": "rehearsal.demo", "shell": "rehearsal.shell"}
_VERBS = (*_SCENES, "test", "enter", "build")

_WAYS_OUT = """\
`make {verb}` starts real HTCondor daemons. You are not root, and your PATH has no HTCondor that works. Three ways out:

  sudo make {verb}      as root it brings an HTCondor of its own and leaves nothing of it on this machine
  PATH=...:$PATH make {verb}
                      with an HTCondor on the PATH (a package, conda's htcondor, an unpacked tarball) it starts that
                      one as a personal pool of yours, and needs no root
  make unit           the tests that need neither\
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "-help", "--help", action="help", help="this")
    parser.add_argument("verb", choices=_VERBS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT")
    verb, arguments = vars(parser.parse_args()).values()
    if arguments[:1] == ["--"]:
        del arguments[0]
    if verb == "enter" and not arguments:
        parser.error("enter needs a command")
    narration.begin()
    try:
        sandbox.admit()
        if verb == "build":
            return sandbox.run(sandbox.deferring(_python("rehearsal.image", [])), network=False)
        if os.geteuid() and verb in (*_SCENES, "test"):
            return _without_root(verb, arguments)
        if verb in _SCENES:
            inside = sandbox.deferring(_python(_SCENES[verb], arguments))
            return _watched(_python("rehearsal", ["enter", "--", *inside]))
        _images().to_environment()
        inside = arguments if verb == "enter" else sandbox.deferring(_python("pytest", arguments))
        return sandbox.run(inside, network=True)
    except ImageError as error:
        print(f"rehearsal: {error}", file=sys.stderr)
    except PermissionError:
        print("rehearsal: making namespaces needs root", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _without_root(verb: str, arguments: Sequence[str]) -> int:
    """In a personal pool: nothing to enter, everything is the user's own."""
    if not personal.is_possible():
        print(_WAYS_OUT.format(verb=verb), file=sys.stderr)
        return 2
    return _watched(sandbox.deferring(_python(_SCENES.get(verb, "pytest"), arguments)))


def _python(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _watched(argv: Sequence[str]) -> int:
    """The command's exit status if nothing of it is left, else at least 1; says which it is."""
    aftermath = Aftermath()
    status = aftermath.run(argv)
    left = aftermath.left()
    if left:
        narration.say("this is left behind:", to=sys.stderr)
        print(*left, sep="\n", file=sys.stderr)
        return status or 1
    narration.say(f"nothing of it is left running or mounted here (it was {aftermath.seen})")
    return status


def _images() -> Images:
    if images := Images.from_environment():  # a sandbox in the sandbox
        return images
    cache = Cache.of_user()
    for _ in range(3):  # the sources may change, or another run tidy up, between a build and our hold on it
        if images := find(cache):
            return images
        # In a process of its own, because one process can make a pid namespace only once.
        build = ["setpriv", "--pdeathsig", "KILL", *sandbox.deferring(_python("rehearsal", ["build"]))]
        if subprocess.run(build, check=False).returncode:
            raise ImageError("without its images there is no rehearsal")
    raise ImageError("the sources change faster than they can be installed")


if __name__ == "__main__":
    sys.exit(main())
