"""`python -m rehearsal.cloud`: serve a local cloud until SIGTERM or SIGINT."""

import argparse
import logging
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from rehearsal.cloud.cloud import ACCOUNT, BUCKET, LocalCloud
from rehearsal.cloud.launcher import Launcher
from rehearsal.cloud.process import ProcessLauncher
from rehearsal.cloud.settings import Settings
from rehearsal.machines import NetnsLauncher

_HEED_S = 0.5
"""Between two looks whether a signal has come: one that the kernel gives to another thread wakes nobody who waits."""

_KNOBS = {
    "boot_delay_s": "seconds from launch until a machine is started",
    "boot_jitter_s": "at most so many seconds more, spread evenly",
    "tag_delay_s": "seconds until AWS's fleet tag, and changed tags in instance metadata, can be seen",
    "fill_delay_s": "seconds from a fleet request to its first instances",
    "fill_fraction": "part of a fleet's target that fills then, 0 to 1",
    "fill_rest_after_s": "seconds until the rest fills; left out: never",
}


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not ADDRESS:PORT")
    return host, int(port)


def _metadata(text: str) -> tuple[str, int] | None:
    return None if text == "none" else _address(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal.cloud", description=__doc__, add_help=False)
    parser.add_argument("-h", "-help", "--help", action="help", help="this")
    parser.add_argument("--bind", type=_address, default=("127.0.0.1", 4566), help="AWS's API and the control API")
    parser.add_argument(
        "--metadata",
        type=_metadata,
        default=None,
        help="ADDRESS:PORT of instance metadata, or none; on a loopback address each instance gets its own one",
    )
    parser.add_argument("--launcher", choices=("none", "process", "netns"), default="none", help="who boots instances")
    parser.add_argument("--machines", type=Path, help="directory for --launcher process; default: a temporary one")
    parser.add_argument("--condor-config", type=Path, help="for --launcher process: what CONDOR_CONFIG includes")
    parser.add_argument("--image", help="for --launcher netns: the lower layers of machines' roots")
    parser.add_argument(
        "--other-images", nargs="*", default=[], metavar="NAME=LAYERS", help="for --launcher netns: roots by image"
    )
    parser.add_argument("--mount-point", type=Path, help="for --launcher netns: an empty folder, where they mount")
    parser.add_argument("--log", type=Path, help="a line for each AWS call and machine; default: stderr, errors only")
    parser.add_argument("--account", default=ACCOUNT)
    parser.add_argument("--bucket", default=BUCKET)
    parser.add_argument("--seed", type=int, default=0, help="of prices, jitter and fleets' preferences")
    for name, meaning in _KNOBS.items():
        option = "--" + name.removesuffix("_s").replace("_", "-")
        parser.add_argument(option, dest=name, type=float, default=getattr(Settings, name), help=meaning)
    return parser


def _launcher(chosen: argparse.Namespace, stack: ExitStack) -> Launcher | None:
    if chosen.launcher == "process":
        directory = chosen.machines or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="annex-machines-")))
        return ProcessLauncher(directory, chosen.condor_config)
    if chosen.launcher == "netns":
        others = dict(image.partition("=")[::2] for image in chosen.other_images)
        return NetnsLauncher(chosen.image, chosen.mount_point, others)
    return None


def main(arguments: list[str]) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.launcher == "netns" and not (chosen.image and chosen.mount_point):
        parser.error("--launcher netns needs --image and --mount-point")
    logging.basicConfig(
        filename=chosen.log,
        level=logging.INFO if chosen.log else logging.ERROR,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    try:
        settings = Settings().changed({name: getattr(chosen, name) for name in _KNOBS})
    except ValueError as error:
        parser.error(str(error))
    ended = Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: ended.set())
    with ExitStack() as stack:
        cloud = LocalCloud(
            bind=chosen.bind,
            metadata=chosen.metadata,
            launcher=_launcher(chosen, stack),
            settings=settings,
            account=chosen.account,
            bucket=chosen.bucket,
            seed=chosen.seed,
            used=True,
        )
        stack.enter_context(cloud)
        print(f"local cloud at {cloud.url}", flush=True)
        while not ended.wait(_HEED_S):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
