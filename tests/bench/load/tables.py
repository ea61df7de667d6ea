"""Figures of a run as Markdown, with ratios, and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]

ORIGINAL = {"per_s": (84, 105), "send_cpu_s": (11, 16), "receive_cpu_s": (2.3, 3.6)}
"""The original stack as issue 8 has it, on two cores: sends a second, CPU seconds per 1,000 sent and received."""


def markdown(rows: Sequence[Row]) -> str:
    """All tables."""
    direct = {row["instances"]: row for row in rows if row["what"] == "direct_sends"}
    most = max(direct, default=0)

    def of_direct(row: Row) -> float:
        """The share of what there is without us."""
        return float(row["per_s"]) / float(direct[min(row["instances"], most)]["per_s"])

    parts = [
        table(
            "The library called directly, and what the sandbox hands out",
            ("direct_sends", "direct_receives"),
            rows,
            {
                "": lambda row: {"direct_sends": "sends", "direct_receives": "receives"}[row["what"]],
                "a second": rounded("per_s"),
                "CPU-s per 1,000: library": rounded("library_cpu_s", 2),
                "sandbox": rounded("sandbox_cpu_s", 2),
                "the sandbox's ceiling, a second": lambda row: f"{1000 / row['sandbox_cpu_s']:.0f}",
            },
        ),
        table(
            "Sends over REST, each with its webhooks",
            ("sends",),
            rows,
            {
                "callers": rounded("callers"),
                "a second": rounded("per_s"),
                "× direct": lambda row: f"{of_direct(row):.2f}",
                "× original": lambda row: "–".join(
                    f"{row['per_s'] / each:.1f}" for each in reversed(ORIGINAL["per_s"])
                ),
                "p50 ms": rounded("p50_ms"),
                "p99 ms": rounded("p99_ms"),
                **costs("send_cpu_s"),
            },
        ),
        table(
            "Received, each with its webhook",
            ("receives",),
            rows,
            {
                "a second": rounded("per_s"),
                "share of the sandbox's ceiling": lambda row: f"{row['per_s'] * row['sandbox_cpu_s'] / 1000:.2f}",
                "lost": rounded("lost"),
                **costs("receive_cpu_s"),
            },
        ),
        table(
            "At a steady pace, half sent and half received",
            ("paced",),
            rows,
            {
                "a second": rounded("per_s"),
                "send p50 ms": rounded("send_p50_ms", 1),
                "p99 ms": rounded("send_p99_ms", 1),
                "received → webhook p50 ms": rounded("webhook_p50_ms", 1),
                "p99 ms ": rounded("webhook_p99_ms", 1),
                "CPU-s per 1,000": rounded("program_cpu_s", 2),
            },
        ),
        table(
            "Memory (proportional set size)",
            ("memory", "memory_after"),
            rows,
            {
                "": lambda row: {"memory": "connected", "memory_after": "after the load"}[row["what"]],
                "MB": rounded("mb"),
                "manager": rounded("manager_mb"),
                "hosts": rounded("hosts_mb"),
                "MB an instance": rounded("mb_per_instance", 1),
            },
        ),
        table(
            "Nothing happens",
            ("idle",),
            rows,
            {
                "% of a core": rounded("percent", 1),
                "manager": rounded("manager_percent", 1),
                "hosts": rounded("hosts_percent", 1),
            },
        ),
        table(
            "Steady traffic for long",
            ("soaking",),
            rows,
            {
                "minute": rounded("minute", 1),
                "manager MB": rounded("manager_mb"),
                "hosts MB": rounded("hosts_mb"),
                "descriptors": rounded("descriptors"),
                "threads": rounded("threads"),
                "lost": rounded("lost"),
                "untold": rounded("untold"),
                "refused": rounded("failed"),
                "send p99 ms": rounded("send_p99_ms"),
            },
        ),
        table(
            "It grows in an hour by",
            ("soak",),
            rows,
            {
                "after minutes": rounded("minutes", 1),
                "manager MB": rounded("manager_mb_an_hour", 1),
                "hosts MB": rounded("hosts_mb_an_hour", 1),
                "descriptors": rounded("descriptors_an_hour", 1),
                "threads": rounded("threads_an_hour", 1),
                "lost": rounded("lost"),
                "untold": rounded("untold"),
                "refused": rounded("failed"),
            },
        ),
        table(
            "Everybody at once",
            ("reconnect", "restart"),
            rows,
            {
                "": lambda row: {"reconnect": "all connections dropped", "restart": "manager restarted"}[row["what"]],
                "all connected after s": lambda row: f"{row.get('connected_s', row.get('s')):.1f}",
                "CPU-s": rounded("cpu_s", 1),
            },
        ),
    ]
    return "\n".join(part for part in parts if part)


def rounded(figure: str, digits: int = 0) -> Callable[[Row], str]:
    """The cells of one figure; empty where it was not measured."""
    return lambda row: f"{row[figure]:.{digits}f}" if figure in row else ""


def costs(original: str) -> dict[str, Callable[[Row], str]]:
    """CPU seconds of a thousand messages, by part."""
    least, most = ORIGINAL[original]
    return {
        "CPU-s per 1,000": rounded("program_cpu_s", 2),
        "manager": rounded("manager_cpu_s", 2),
        "hosts": rounded("hosts_cpu_s", 2),
        "sandbox": rounded("sandbox_cpu_s", 2),
        "original ÷ ours": lambda row: f"{least / row['program_cpu_s']:.1f}–{most / row['program_cpu_s']:.1f}",
    }


def table(title: str, what: Iterable[str], rows: Sequence[Row], columns: dict[str, Callable[[Row], str]]) -> str:
    """One table; empty where nothing of it was measured."""
    chosen = [row for row in rows if row["what"] in what]
    if not chosen:
        return ""
    heads = ["instances", *columns]
    lines = [f"### {title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {row['instances']} | {' | '.join(cell(row) for cell in columns.values())} |" for row in chosen]
    return "\n".join([*lines, ""])


WIDTH, HEIGHT, LEFT, TOP = 640, 360, 60, 40
COLOURS = {"sends": "#1f6feb", "receives": "#2da44e", "paced": "#bf8700"}
NAMES = {"sends": "sent, with its webhooks", "receives": "received", "paced": "at a steady pace"}


def plot(rows: Sequence[Row]) -> str:
    """CPU seconds per 1,000 messages against instances, as SVG."""
    counts = sorted({row["instances"] for row in rows if row["what"] in COLOURS})
    top = max((row["program_cpu_s"] for row in rows if row["what"] in COLOURS), default=1.0) * 1.1

    def x(count: int) -> float:
        return LEFT + (WIDTH - 2 * LEFT) * counts.index(count) / max(1, len(counts) - 1)

    def y(value: float) -> float:
        return HEIGHT - TOP - (HEIGHT - 2 * TOP) * value / top

    drawn = [
        f'<text x="{LEFT}" y="20">CPU seconds per 1,000 messages, by instances</text>',
        f'<path d="M{LEFT} {TOP}V{HEIGHT - TOP}H{WIDTH - LEFT}" fill="none" stroke="#888"/>',
        *(f'<text x="{x(count)}" y="{HEIGHT - TOP + 18}" text-anchor="middle">{count}</text>' for count in counts),
        *(
            f'<text x="{LEFT - 8}" y="{y(top * part / 4) + 4}" text-anchor="end">{top * part / 4:.1f}</text>'
            for part in range(5)
        ),
    ]
    for place, (what, colour) in enumerate(COLOURS.items()):
        # Where a measurement was made with several numbers of callers, the last is shown.
        values = {row["instances"]: row["program_cpu_s"] for row in rows if row["what"] == what}
        points = " ".join(f"{x(count):.0f},{y(value):.0f}" for count, value in sorted(values.items()))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(f'<text x="{LEFT + 10 + 190 * place}" y="{HEIGHT - 4}" fill="{colour}">{NAMES[what]}</text>')
    inside = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="13" fill="#555">\n<rect width="100%" height="100%" fill="#fff"/>\n{inside}\n</svg>\n'
    )
