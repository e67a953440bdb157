"""Schemes, update rules, initializations and measures from outside the package; a plugin imports from here only.

The README of this folder has examples.
"""

from asymbp_cli.plugins.draws import Draw
from asymbp_cli.plugins.measures import measure
from asymbp_cli.plugins.rules import initialization, update_rule
from asymbp_cli.plugins.schemes import fixed_scheme, learned_scheme, register_scheme, scheme
from asymbp_cli.specs.feedback import LayerFeedback
from asymbp_cli.specs.schemes import Number, Scheme
from asymbp_cli.training.feedback.forms import Computed, Fixed, Form, Learned, SignConcordant
from asymbp_cli.training.feedback.site import Site

__all__ = [
    "Computed",
    "Draw",
    "Fixed",
    "Form",
    "LayerFeedback",
    "Learned",
    "Number",
    "Scheme",
    "SignConcordant",
    "Site",
    "fixed_scheme",
    "initialization",
    "learned_scheme",
    "measure",
    "register_scheme",
    "scheme",
    "update_rule",
]
