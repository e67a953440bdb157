"""The paper's seven conclusions as named checks on a set of errors: the paper's own, or ours."""

from asymbp_cli.analysis.conclusions.checks import CHECKS, Judgement, Verdict, judge
from asymbp_cli.analysis.conclusions.numbers import Numbers, our_numbers, paper_numbers

__all__ = ["CHECKS", "Judgement", "Numbers", "Verdict", "judge", "our_numbers", "paper_numbers"]
