"""How fast the package works, against a ceiling that is measured in the same run.

    python scripts/benchmark.py SUBJECT --help
    python scripts/benchmark.py scoring --output results.json

The subjects are modules of `benchmarks/`, whose first lines say what is measured. Everywhere the parts of a comparison
take turns, and ratios are taken within a turn, because a machine is not equally fast all day. Turns in which other
programs had more than 8 % of the cores are taken again, and counted only where quiet ones are not to be had, which is
said. With `--output`, machine, versions and every turn are kept in a JSON file, one entry a subject.
"""

import argparse
from pathlib import Path

import torch
import transformers
from benchmarks import columns, gpu, memory, scoring, space, startup, training
from benchmarks.findings import Report


SUBJECTS = {
    "scoring": scoring,
    "training": training,
    "startup": startup,
    "memory": memory,
    "gpu": gpu,
    "columns": columns,
    "space": space,
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subjects = parser.add_subparsers(dest="subject", required=True)
    for name, module in SUBJECTS.items():
        summary, _, _ = (module.__doc__ or "").partition("\n")
        command = subjects.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_argument("--data_dir", help="folder of pictures, in place of rendered ones")
        command.add_argument("--num_pictures", type=int, help="how many different ones")
        command.add_argument("--repeats", type=int, default=5, help="how many turns count")
        command.add_argument("--threads", type=int, default=1, help="of torch")
        command.add_argument("--output", type=Path, help="JSON file to add the subject to")
        module.add_arguments(command)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    report = SUBJECTS[args.subject].run(args)
    if isinstance(report, Report):
        print(report.table())
        if args.output:
            report.write(args.output, args.threads)


if __name__ == "__main__":
    main()
