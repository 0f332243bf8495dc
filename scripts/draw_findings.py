"""Draws the figures of a study as SVG files, for a card, a slide or a paper.

python scripts/draw_findings.py outputs/study/findings.json --output_dir outputs/figures
"""

import argparse
import sys
from pathlib import Path

from hf_aesthetics.analysis.findings import load_findings
from hf_aesthetics.reports import write_figures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("findings", type=Path, nargs="+", help="findings.json of one or more studies")
    parser.add_argument("--output_dir", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        for path in args.findings:
            for file in write_figures(args.output_dir, load_findings(path)):
                print(file)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
