"""All variants, family by family."""

from itertools import chain
from typing import Final

from . import (
    archive,
    archive_odd,
    archive_zip,
    boundary,
    container,
    container_odd,
    document,
    document_odd,
    encryption,
    filename,
    header,
    header_hidden,
    nesting,
    smuggling,
    smuggling_built,
    smuggling_code,
    text,
    text_odd,
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
    header_hidden,
    text_odd,
    container_odd,
    archive_odd,
    document_odd,
    smuggling_built,
    smuggling_code,
)

VARIANTS: Final[tuple[Variant, ...]] = tuple(chain.from_iterable(module.VARIANTS for module in _MODULES))
BY_ID: Final = {variant.id: variant for variant in VARIANTS}

if len(BY_ID) != len(VARIANTS):
    raise ValueError("two variants of the corpus have the same id")
if {variant.family for variant in VARIANTS} != set(FAMILIES):
    raise ValueError("a family of the corpus has no variant")
