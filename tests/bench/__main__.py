"""`make bench`: our stack and its peers on this machine, in turn; see docs/speed.md for the method.

make bench                                            everything, five times: about half an hour
make bench BENCH_ARGS="--quick"                       everything, once, shortly: to see that it runs
make bench BENCH_ARGS="--only compare --only gateway"
make bench BENCH_ARGS="--json docs/speed.json"        and keep the results, for `python -m tests.bench.page`
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from deploy.failure import Failure
from tests.bench import results
from tests.bench.growth import SIZES
from tests.bench.load import CallRefused, require_wrk
from tests.bench.report import show
from tests.bench.run import NGINX, PEERS, PIECES, Options, Run


def main() -> int:
    """What was measured is kept and shown, also when a later part fails; then the status is 1."""
    wanted = _arguments()
    console = Console()
    run, status = None, 0
    try:
        require_wrk()
        with tempfile.TemporaryDirectory(prefix="serx-bench-", dir=wanted.dir) as folder:
            run = Run(_options(wanted), Path(folder), console)
            asyncio.run(run.everything())
    except (Failure, CallRefused) as failure:
        status = 1
        console.print(f"[red]{failure}[/]", highlight=False)
        for line in getattr(failure, "evidence", ()):
            console.print(line, style="dim", highlight=False)
    if run is not None:
        if wanted.json is not None:
            results.write(run.results, wanted.json)
        show(run.results, console)
    return status


def _options(wanted: argparse.Namespace) -> Options:
    return Options(
        pieces=tuple(wanted.only or PIECES),
        without=tuple(wanted.without),
        quick=wanted.quick,
        repeats=wanted.repeats,
        sizes=tuple(wanted.sizes),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure serx beside its peers on this machine.")
    parser.add_argument("--quick", action="store_true", help="once and shortly: to see that it runs, not to quote")
    parser.add_argument("--repeats", type=int, help="how often everything is measured (5; 1 with --quick)")
    parser.add_argument("--only", action="append", choices=PIECES, metavar="PIECE", help=f"of {', '.join(PIECES)}")
    parser.add_argument(
        "--without", action="append", default=[], choices=(*PEERS, NGINX), help="leave out a peer that cannot run here"
    )
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="projects for growth, as 1000,100000,1000000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--dir", type=Path, help="where the databases are made while it runs (the system's choice)")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
