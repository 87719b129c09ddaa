"""What the sections of the configuration are made of."""

from typing import Annotated, Final

from msgspec import Meta, Struct

MIB: Final = 1024 * 1024

AbsolutePath = Annotated[str, Meta(pattern="^/", max_length=4096)]
# sockaddr_un.sun_path holds 108 bytes with its NUL (unix(7)); the socket is first bound under a longer name.
SocketPath = Annotated[str, Meta(pattern="^/", max_length=90)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Many = Annotated[int, Meta(ge=1, le=10_000)]
Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,31}\Z")]
RuleId = Annotated[str, Meta(pattern=r"\A[a-z0-9-]+\.[a-z0-9-]+\Z")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections: a setting that is misspelt is refused."""
