"""A report as a table for the terminal."""

from .report import EvaluationReport


def report_table(report: EvaluationReport) -> str:
    """The figures of a report as a table for the terminal: value, 95 % interval, and the constant predictor's."""
    lines = [
        f"{report.dataset_name}, {report.split}, {report.num_images} pictures",
        f"SHA-256 of their ids: {report.image_ids_sha256}",
        *(f"NOTE: {count} of them were seen in {split}" for split, count in (report.seen_in_training or {}).items()),
        "",
    ]
    lines.append(f"{'metric':<20}{'value':>9}{'95 % interval':>20}{'constant':>10}")
    for name in ("srcc", "plcc", "krcc", "emd", "emd_2", "emd_skill", "mae", "accuracy", "srcc_std", "pit_error"):
        value = report.metrics.get(name)
        if value is None:
            continue
        low, high = report.intervals.get(name) or (None, None)
        constant = (report.constant_metrics or {}).get(name)
        interval = "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
        lines.append(f"{name:<20}{value:>9.3f}{interval:>20}{'' if constant is None else f'{constant:.3f}':>10}")
    if report.srcc_ceiling is not None:
        lines.append(f"{'ceiling of srcc':<20}{report.srcc_ceiling:>9.3f}")
    return "\n".join(lines)
