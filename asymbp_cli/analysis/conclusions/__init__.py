"""The paper's seven conclusions as named checks on a set of errors: the paper's own, or ours."""

from asymbp_cli.analysis.conclusions.checks import CHECKS, Judgement, Verdict, judge
from asymbp_cli.analysis.conclusions.numbers import Numbers, collect_our_numbers, load_paper_numbers

__all__ = ["CHECKS", "Judgement", "Numbers", "Verdict", "collect_our_numbers", "judge", "load_paper_numbers"]
