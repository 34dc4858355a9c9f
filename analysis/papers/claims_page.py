"""The page of claims: every claim of the source documents, and what the pages say of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.formatting import ABSENT, pluralize
from analysis.papers.claim_rules import RULES, Judgement, Verdict, judge
from analysis.papers.claims import Claim, load_claims
from analysis.papers.index import GENERATED_MARK, read_page
from analysis.papers.markdown import escape, markdown_table
from analysis.papers.page_data import PageData, load_tables
from analysis.presets.preset import Scale
from workbench.errors import UserError
from workbench.files import write_text

CLAIMS_FILE = "claims.md"
"""Name of the page in the folder of pages."""
SCALES: tuple[Scale, ...] = ("full", "long", "small")
"""Scales in the order in which claims are judged by them: the best that is there."""
HEADINGS = ("claim", "source", "measured here", "95 % interval", "scale", "seeds", "verdict", "page")
HEADING = f"""{GENERATED_MARK}`; not to be edited. -->
# The sources' claims, measured

Each claim is judged by the data of its preset's page at the best scale that is there: *full* is the paper's own
setting, *long* has its lengths with what makes training cheaper (narrower models, smaller batches, often fewer steps;
the page says which), and *small* is shorter too, so that it only judges claims that do not depend on the length. Where
one has too few seeds to say, the next has the word.

A ratio is that of the medians of steps, with the interval of all ratios that the log-rank test does not reject (where
a median lies beyond the steps that were trained, the ratio is a bound, which the interval may exclude), or that of
the geometric means of losses and errors, with Welch's interval. A claim is *reproduced* if the interval lies where
the claim has it, *not reproduced* if it lies elsewhere, and otherwise, or with fewer than four seeds, there are *too
few seeds to say*. A figure that one more run of ours might meet, though our mean does not, is *left open by a single
run*. An architecture *fails* if no seed learns, and does not if more than half of them do; a goal that is met on one
training batch only counts for a seed that has learned something. Where rows differ in their number of parameters by
more than a tenth, it is said, and where a row's learning rate is at the end of its grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClaim:
    """A claim with its judgement and the page behind it."""

    claim: Claim
    judgement: Judgement
    scale: Scale | None = None
    page: str = ""
    """Link to the page, as Markdown; empty without one."""


def write_claims(pages: Path) -> Path:
    """Writes `pages/claims.md` from the JSON files of the pages, and returns its path.

    Raises:
        UserError: if there is a file of that name that something else wrote, or the JSON file of a page is not ours.
    """
    check_claims_writable(pages)
    judged = [judge_claim(claim, pages) for claim in load_claims()]
    surprises = [entry for entry in judged if entry.judgement.failed_to_fail]
    counts = Counter(entry.judgement.verdict for entry in judged)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    parts = [HEADING, f"**{pluralize(len(judged), 'claim')}**: {summary}."]
    if surprises:
        parts += ["## Failures that did not recur here", claims_table(surprises)]
    judged_here = [entry for entry in judged if entry.judgement.verdict != "not testable"]
    parts += ["## Every claim that a page judges", claims_table(judged_here)] if judged_here else []
    rest = [entry for entry in judged if entry.judgement.verdict == "not testable"]
    for heading, by_nature in (("Waiting for a page", False), ("Not testable with what is here", True)):
        lines = [reason_cells(entry) for entry in rest if (entry.claim.rule == "not_testable") is by_nature]
        if lines:
            parts += [f"## {heading}", markdown_table(("claim", "source", "why", "page"), lines, left=4)]
    write_text(pages / CLAIMS_FILE, "\n\n".join(parts) + "\n")
    return pages / CLAIMS_FILE


def check_claims_writable(pages: Path) -> None:
    """Checks that the page of claims overwrites nothing but itself.

    Raises:
        UserError: if something else wrote a file of its name.
    """
    path = pages / CLAIMS_FILE
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(GENERATED_MARK):
        raise UserError(f"{path} was not written by workbench reproduce; name another folder as --pages")


def judge_claim(claim: Claim, pages: Path) -> JudgedClaim:
    """Returns a claim with its judgement at the best scale at which all of its presets have pages with data.

    Where that has too few seeds to say, the next scale that settles the claim has the word.

    Raises:
        UserError: if the JSON file of a page was written by something else.
    """
    if claim.rule == "not_testable":
        return JudgedClaim(claim=claim, judgement=Judgement(verdict="not testable", why=claim.arguments["why"]))
    if claim.rule == "together":
        return judge_together(claim, pages)
    if not claim.presets:
        return JudgedClaim(claim=claim, judgement=RULES[claim.rule](claim.arguments))
    older, undecided = "", None
    for scale in SCALES:
        paths = [pages / f"{preset}-{scale}.json" for preset in claim.presets]
        if not all(path.exists() for path in paths):
            continue
        contents = [read_page(path) for path in paths]
        data = [load_tables(content, str(path)) for content, path in zip(contents, paths, strict=True)]
        link = ", ".join(dict.fromkeys(f"[{path.stem}]({path.stem}.md)" for path in paths))
        found = [entry for entry in data if entry is not None and entry.tables]
        if len(found) < len(data):
            older = older or link
            continue
        if not all(has_runs(entry) for entry in found):
            continue
        try:
            judgement = judge(claim, found, scale)
        except LookupError:
            # The preset has had another row or metric since.
            older = older or link
            continue
        judged = JudgedClaim(claim=claim, judgement=judgement, scale=scale, page=link)
        if judgement.verdict in ("reproduced", "not reproduced"):
            return judged
        undecided = undecided or judged
        if judgement.verdict != "too few seeds to say":
            break
    if undecided is not None:
        return undecided
    why = "the page is older than the data that this takes; make it again" if older else "its preset is not run"
    return JudgedClaim(claim=claim, judgement=Judgement(verdict="not testable", why=why), page=older)


def judge_together(claim: Claim, pages: Path) -> JudgedClaim:
    """Returns the judgement on a claim that holds if several others do: not if one of them does not.

    Not testable if none of them fails and one is not tested yet, for which more seeds do nothing.

    Raises:
        UserError: if the JSON file of a page was written by something else.
    """
    texts = claim.arguments["claims"]
    judged = [judge_claim(part, pages) for part in load_claims() if part.text in texts]
    counts = Counter(entry.judgement.verdict for entry in judged)
    if counts["not testable"] == len(judged):
        return JudgedClaim(claim=claim, judgement=Judgement(verdict="not testable", why="none of its presets is run"))
    # The first that is there: a failure of one decides, whatever the others are.
    deciding: Sequence[Verdict] = (
        *("not reproduced", "not testable at this size", "not testable", "too few seeds to say"),
        *("left open by a single run", "reproduced"),
    )
    verdict = next(each for each in deciding if counts[each])
    measured = f"of {pluralize(len(judged), 'claim')}: " + ", ".join(f"{n} {name}" for name, n in counts.most_common())
    links = dict.fromkeys(entry.page for entry in judged if entry.page)
    judgement = Judgement(verdict=verdict, measured=measured, why=measured if verdict == "not testable" else "")
    return JudgedClaim(claim=claim, judgement=judgement, page=", ".join(links))


def has_runs(page: PageData) -> bool:
    """Returns whether a page has a finished run."""
    return any(row.ours.seeds for table in page.tables for row in table.rows)


def claims_table(judged: Sequence[JudgedClaim]) -> str:
    """Returns a table of claims as Markdown."""
    return markdown_table(HEADINGS, [claim_cells(entry) for entry in judged], left=len(HEADINGS))


def reason_cells(entry: JudgedClaim) -> list[str]:
    """Returns the cells of a claim that could not be judged."""
    return [escape(entry.claim.text), escape(entry.claim.source), escape(entry.judgement.why), entry.page or ABSENT]


def claim_cells(entry: JudgedClaim) -> list[str]:
    """Returns the cells of a claim."""
    judgement = entry.judgement
    why = f": {judgement.why}" if judgement.why else ""
    return [
        escape(entry.claim.text),
        escape(entry.claim.source),
        escape(judgement.measured) or ABSENT,
        escape(judgement.interval) or ABSENT,
        entry.scale or ABSENT,
        judgement.seeds or ABSENT,
        f"**{judgement.verdict}**{escape(why)}",
        entry.page or ABSENT,
    ]
