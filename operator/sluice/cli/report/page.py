"""A comparison as one HTML page that needs nothing else: no script, no other file, no address. Everything that is not written here is escaped.

The order is that of a reader's questions: what came out, what was compared, how sure that is, where it shows, how it went, what else there was, and what the
words mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Final

from sluice.cli.report import plots
from sluice.cli.report.detail import Detail
from sluice.cli.report.glossary import GLOSSARY
from sluice.cli.report.numbers import Compared, Comparison, Metric
from sluice.cli.report.words import OUTCOMES, SIGNS, consequence, duration, headline, points, progress, rate, signed, to_decide, verdict
from sluice.scoring.classes import macro_f1
from sluice.scoring.tally import BASELINE, CANDIDATE, SIDES

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do with the page: apply its own style, and nothing else."""
_ASKED: Final = "Both models got the same cases, close in time."
_RECORDED: Final = "Nobody was asked: both models had answered the same requests, and what they answered was recorded."
_COUNTS: Final = ("Asked", "Answered", "Retried")
_FAILURES: Final = {
    "Timeout": "too late",
    "Unreachable": "no connection",
    "Refused": "refused by the server",
    "TooLarge": "answer too large",
    "Malformed": "not what the protocol says",
}


def page(comparison: Comparison, detail: Detail | None, *, differs: str = "") -> str:
    """Write the page. `detail`: what only the statistics know. `differs`: in what the statistics contradict the run, a sentence."""
    inputs = comparison.inputs
    title = f"{inputs.candidate.name} against {inputs.baseline.name}: {OUTCOMES[comparison.decision].lower()}"
    body = "".join(
        [
            _verdict(comparison, differs),
            _compared(comparison, detail),
            _how_sure(comparison),
            _where(comparison),
            *([] if detail is None else [_path(detail), _differences(detail)]),
            _gates(comparison),
            *(
                [_only_run()]
                if detail is None
                else [_noise(detail), _scorers(detail), _classes(detail), _missing(detail), _latency(comparison, detail), _sums(detail)]
            ),
            _glossary(),
        ]
    )
    style = files("sluice.cli.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _verdict(comparison: Comparison, differs: str) -> str:
    inputs = comparison.inputs
    warning = f'<p class="warning"><strong>Careful:</strong> {escape(differs)}</p>\n' if differs else ""
    return (
        f"<h1>Canary report: {escape(inputs.candidate.name)} against {escape(inputs.baseline.name)}</h1>\n"
        f'<div class="verdict {comparison.decision}"><p class="headline"><span class="sign" aria-hidden="true">{SIGNS[comparison.decision]}</span> '
        f"{escape(headline(comparison))}</p>\n<p>{escape(consequence(comparison))}</p></div>\n{warning}"
    )


def _compared(comparison: Comparison, detail: Detail | None) -> str:
    inputs = comparison.inputs
    rows = [
        ("Candidate, the model that wants to serve", _named(inputs.candidate)),
        ("Baseline, the approved model it would replace", _named(inputs.baseline)),
        ("Suite, the cases both were asked", _named(inputs.suite)),
        ("Run", _code(inputs.run)),
        ("Asked for by policy", escape(inputs.policy or "none: compared at a desk")),
        ("Cases", escape(progress(comparison)) + f", in a random order that was fixed before (seed {inputs.seed}), by {inputs.shards} scorer(s)"),
        ("Time", _times(comparison) + (f"; no promotion before {escape(inputs.min_duration)} are over" if inputs.min_duration else "")),
        ("Decision", f"{comparison.decision} ({_code(comparison.reason)}): {escape(comparison.message)}"),
    ]
    rows += [("Not answered", escape(str(side))) for side in comparison.missing]
    if inputs.recording is not None:
        rows.insert(3, ("Recording of what both answered", _named(inputs.recording)))
    if comparison.live_share:
        rows.append(("Live share after it", escape(comparison.live_share)))
    if detail is not None:
        rows.append(("Plan", _code(detail.plan)))
    rows += [("Every answer is kept in", _named(sample)) for sample in comparison.samples]
    return _section(
        "What was compared",
        f"<p>{_RECORDED if inputs.recording else _ASKED} For each case the candidate's score is compared with the baseline's; scores are between 0 and 1, "
        "and a difference of 0.01 is called one point. For yes-or-no scores, one point is one more wrong answer in a hundred.</p>\n"
        + _table((), [(f'<th scope="row">{name}</th>', f"<td>{told}</td>") for name, told in rows]),
    )


def _how_sure(comparison: Comparison) -> str:
    inputs = comparison.inputs
    rollback, promotion = escape(rate(inputs.false_rollback_rate)), escape(rate(inputs.false_promotion_rate))
    return _section(
        "How sure is this?",
        f"<ul>\n<li>A candidate that is <em>not</em> worse than allowed, on any metric and in any slice, is rolled back in at most <strong>{rollback}</strong> "
        "comparisons.</li>\n"
        f"<li>A candidate that <em>is</em> worse than allowed on some metric, over all cases, is promoted in at most <strong>{promotion}</strong> comparisons."
        "</li>\n</ul>\n"
        "<p>Both hold although the numbers are looked at again and again while cases come in, and although there are several metrics and slices: that is paid "
        "for by asking for more evidence. A case on which the candidate gave no answer counts as its worst possible one.</p>\n",
    )


def _where(comparison: Comparison) -> str:
    if not comparison.metrics:
        return _section("Metrics and slices", "<p>No case was compared, so there are no numbers.</p>\n")
    figure = _figure(
        plots.forest(comparison),
        "Mark: the measured difference. Bar: where the true difference is, with the error rates above. Dashed line: as much worse as is allowed; shaded: worse "
        "than that. Rolled back when a whole bar lies in the shade (✕), promoted when the bars over all cases lie right of it (●); ◆ is open.",
    )
    more = len(comparison.metrics) - plots.ROWS
    left_out = f'<p class="note">The drawing shows {plots.ROWS} of them; the table has {more} more.</p>\n' if more > 0 else ""
    return _section("Metrics and slices", figure + left_out + _metrics(comparison.grouped))


def _metrics(metrics: Sequence[Metric]) -> str:
    head = ("Metric, slice", "Cases", "Measured", "Truth between", "Allowed", "Evidence to promote", "Evidence to roll back", "Cases to decide", "Shows")
    rows = []
    for metric in metrics:
        promote = f"{metric.promote:.3g} of {metric.promote_at:.3g}" if metric.is_pool else "–"
        numbers = [
            f"{metric.pairs:,}", signed(metric.estimate), f"{signed(metric.low)} and {signed(metric.high)}", f"−{points(metric.margin)}",
            promote, f"{metric.roll_back:.3g} of {metric.roll_back_at:.3g}", to_decide(metric),
        ]  # fmt: skip
        name = f"<td>{escape(metric.name)}</td>" if metric.is_pool else f'<td class="slice">{escape(metric.slice)}</td>'
        cells = (name, *(f'<td class="number">{escape(number)}</td>' for number in numbers), f"<td>{_shown(metric)}</td>")
        rows.append(cells)
    return _table(head, rows, numbers=range(1, 8))


def _shown(metric: Metric) -> str:
    sign = "✕ " if metric.is_worse else "● " if metric.is_pool and metric.is_within else ""
    return sign + escape(verdict(metric))


def _path(detail: Detail) -> str:
    found = [path for path in detail.paths if path.points]
    if not found:
        return ""
    caption = (
        "Line: the measured difference after so many cases. Shaded: where the true difference is; this holds for all looks together. "
        "Dashed: the margin. A metric is decided when the shaded part is wholly on one side of the dashed line."
    )
    return _section("How it went", _figure(plots.paths(found), caption))


def _differences(detail: Detail) -> str:
    found = [spread for spread in detail.differences if spread.tally]
    if not found:
        return ""
    caption = "Each case once: on how many the candidate did worse (left), the same (in the middle) or better (right)."
    return _section("Differences of single cases", _figure(plots.spreads(found), caption))


def _gates(comparison: Comparison) -> str:
    if not comparison.gates:
        return _section("Hard gates", "<p>None was looked at. A hard gate is something that must never happen: one answer is enough to roll back.</p>\n")
    rows = [
        (f"<td>{escape(name)}</td>", f'<td class="number">{hits:,}</td>', f"<td>{'✕ hit' if hits else '● clear'}</td>")
        for name, hits in comparison.gates.items()
    ]
    return _section(
        "Hard gates",
        "<p>Things that must never happen. One answer of the candidate that hits a gate rolls it back, whatever the numbers say.</p>\n"
        + _table(("Gate", "Answers that hit it", "Shows"), rows, numbers=[1]),
    )


def _noise(detail: Detail) -> str:
    if not detail.noise:
        return _section("Noise", "<p>The baseline was not compared with itself.</p>\n")
    rows = [
        (f"<td>{escape(noise.metric)}</td>", f'<td class="number">{noise.units:,}</td>', f'<td class="number">{points(noise.difference)}</td>')
        for noise in detail.noise
    ]
    return _section(
        "Noise",
        "<p>The first cases were asked of the baseline twice. This is how far its second answer was from its first, where there is no difference in truth: "
        "0 means that it always answers alike; a high number means that many cases are needed to see anything.</p>\n"
        + _table(("Metric", "Cases asked twice", "Mean distance in points"), rows, numbers=[1, 2]),
    )


def _scorers(detail: Detail) -> str:
    if not detail.qualities:
        return ""
    rows = [
        (
            f"<td>{escape(each.metric)}</td>",
            *(
                f'<td class="number">{told}</td>'
                for told in (f"{each.units:,}", _share(each.lost), _share(each.contradicts), f"{each.known:,}", _share(each.right))
            ),
        )
        for each in detail.qualities
    ]
    return _section(
        "Scorers of your own, and judges",
        "<p>How far to trust them. Silent: cases about which the scorer said nothing, which count for neither side; with more than 1 % nothing is decided. "
        "Contradicts itself: pairs of answers that a judge prefers by their place. "
        "Right: cases of which people know the better answer, and it found that one.</p>\n"
        + _table(("Metric", "Cases", "Silent", "Contradicts itself", "Known cases", "Right"), rows, numbers=range(1, 6)),
    )


def _classes(detail: Detail) -> str:
    parts = []
    for metric, sides in detail.classes.items():
        rows = [
            (
                f"<td>{escape(candidate.label)}</td>",
                f'<td class="number">{candidate.expected:,}</td>',
                *(f'<td class="number">{_share(share)}</td>' for side in (candidate, baseline) for share in (side.precision, side.recall, side.f1)),
            )
            for candidate, baseline in zip(sides[CANDIDATE], sides[BASELINE], strict=True)
        ]
        told = ", ".join(f"{side} {_share(macro_f1(sides[side]))}" for side in (CANDIDATE, BASELINE))
        heads = ("Class", "Answers", *(f"{side}: {figure}" for side in ("Candidate", "Baseline") for figure in ("precision", "recall", "F1")))
        parts.append(f"<p>{escape(metric)}: macro F1 of the {told}.</p>\n" + _table(heads, rows, numbers=range(1, len(heads))))
    if not parts:
        return ""
    why = "<p>Figures of all cases together. Nothing is decided on them: what decides is whether each case was right, beside the baseline.</p>\n"
    return _section("Classes", why + "".join(parts))


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _missing(detail: Detail) -> str:
    failures = [name for name in _FAILURES if any(detail.sides.get(side, {}).get(name) for side in SIDES)]
    names = (*_COUNTS, *failures)
    rows = [
        (
            f'<th scope="row">{side}</th>',
            *(f'<td class="number">{detail.sides.get(side, {}).get(name, 0):,}</td>' for name in names),
            f'<td class="number">{_share_missing(detail, side)}</td>',
        )
        for side in (CANDIDATE, BASELINE)
    ]
    head = ("", "Asked", "Answered", "Asked again, no connection", *(f"Missing: {_FAILURES[name]}" for name in failures), "Missing")
    void = f"<p>{detail.void:,} case(s) count for nothing, because the baseline gave no answer to compare with.</p>\n" if detail.void else ""
    return _section(
        "Missing answers",
        "<p>An answer of the candidate that is missing, broken or too late counts as the worst possible, if the baseline answered the same case. The baseline "
        "is asked more often, because its first cases are asked twice.</p>\n" + _table(head, rows, numbers=range(1, len(head))) + void,
    )


def _share_missing(detail: Detail, side: str) -> str:
    counts = detail.sides.get(side, {})
    asked = counts.get("Asked", 0)
    return f"{(asked - counts.get('Answered', 0)) / asked:.1%}" if asked else "–"


def _latency(comparison: Comparison, detail: Detail) -> str:
    if not detail.latencies:
        return ""
    found = [metric for metric in comparison.metrics if metric.name in detail.latencies and metric.is_pool]
    rows = [
        (
            f"<td>{escape(metric.name)}</td>",
            f'<td class="number">{signed(metric.estimate)}</td>',
            f'<td class="number">{signed(metric.low)} and {signed(metric.high)}</td>',
            f"<td>{_shown(metric)}</td>",
        )
        for metric in found
    ]
    told = (
        "<p>A latency is compared as the share of answers that come within a limit: −3 means that three answers in a hundred more come too late. The limit is "
    )
    told += "the suite's, or what the baseline's own first answers fix.</p>\n"
    empty = "<p>Too few answers of the baseline have been timed to fix a limit, so nothing is said about latency.</p>\n"
    return _section("Latency", told + (_table(("Metric", "Measured", "Truth between", "Shows"), rows, numbers=[1, 2]) if rows else empty))


def _sums(detail: Detail) -> str:
    names = sorted({name for side in SIDES for name in detail.sides.get(side, {})} - {*_COUNTS, *_FAILURES})
    if not names:
        return ""
    rows = [(f"<td>{escape(name)}</td>", *(f'<td class="number">{detail.sides.get(side, {}).get(name, 0):,}</td>' for side in SIDES)) for name in names]
    return _section(
        "Used",
        "<p>Added up over all answers, and not compared: nothing is decided on it. A cost is in billionths of the currency of its prices.</p>\n"
        + _table(("Sum", "Candidate", "Baseline"), rows, numbers=[1, 2]),
    )


def _only_run() -> str:
    told = "A CanaryRun keeps the last numbers only. How they came about (estimates over the cases, single differences, noise, missing answers, latency) is in "
    told += "the statistics of the scorers, which end with the run: give them with <code>--statistics</code> and <code>--plan</code>."
    return _section("What is not here", f"<p>{told}</p>\n")


def _glossary() -> str:
    return _section("Words", "<dl>\n" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(told)}</dd>\n" for word, told in GLOSSARY.items()) + "</dl>\n")


def _times(comparison: Comparison) -> str:
    started, decided = comparison.started_at, comparison.decided_at
    if started is None:
        return "not known" if decided is None else f"decided {_time(decided)}"
    if decided is None:
        return f"began {_time(started)}, goes on"
    return f"began {_time(started)}, decided {_time(decided)}, which took {escape(duration(decided - started))}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _named(compared: Compared) -> str:
    return escape(compared.name) + (f"<br>{_code(compared.digest)}" if compared.digest else "")


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}</section>\n"


def _figure(drawing: plots.Drawing, caption: str) -> str:
    return f"<figure>\n{drawing.svg}\n<figcaption>{escape(caption)}</figcaption>\n</figure>\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Write a table of cells that are elements already; `numbers` are the columns that stand on the right."""
    kinds = ["number" if at in numbers else "text" for at in range(len(head))]
    titles = "".join(f'<th scope="col" class="{kind}">{escape(title)}</th>' for kind, title in zip(kinds, head, strict=True))
    lines = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    headed = f"<thead><tr>{titles}</tr></thead>\n" if head else ""
    return f'<div class="scroll"><table>\n{headed}<tbody>\n{lines}</tbody>\n</table></div>\n'
