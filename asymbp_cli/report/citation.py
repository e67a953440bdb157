"""What to cite: the paper for its method, and this tool, as BibTeX."""

from asymbp_cli import __version__

PAPER = """@inproceedings{liao2016weightsymmetry,
  author = {Liao, Qianli and Leibo, Joel Z. and Poggio, Tomaso},
  title = {How Important Is Weight Symmetry in Backpropagation?},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year = {2016},
  note = {arXiv:1510.05067v4}
}"""
TOOL = f"""@software{{asymbp,
  author = {{{{The asymbp authors}}}},
  title = {{asymbp}},
  year = {{2026}},
  version = {{{__version__}}}
}}"""
CITATION = f"{PAPER}\n{TOOL}"
