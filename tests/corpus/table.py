"""All variants, family by family."""

from itertools import chain
from typing import Final

from . import (
    archive,
    archive_zip,
    boundary,
    container,
    document,
    encryption,
    filename,
    header,
    nesting,
    smuggling,
    text,
    transfer,
)
from .variant import FAMILIES, Variant

_MODULES: Final = (
    header,
    boundary,
    transfer,
    nesting,
    archive,
    archive_zip,
    container,
    document,
    text,
    smuggling,
    filename,
    encryption,
)

VARIANTS: Final[tuple[Variant, ...]] = tuple(chain.from_iterable(module.VARIANTS for module in _MODULES))
BY_ID: Final = {variant.id: variant for variant in VARIANTS}

if len(BY_ID) != len(VARIANTS):
    raise ValueError("two variants of the corpus have the same id")
if {variant.family for variant in VARIANTS} != set(FAMILIES):
    raise ValueError("a family of the corpus has no variant")
