"""What the parse workers are told: bounds, and the rules about what a message may contain."""

from typing import Annotated, Literal

from msgspec import Meta, field

from filterd.findings import Mode

from .base import MIB, Name, RuleId, Seconds, Section

Direction = Literal["any", "in", "out"]

# What the usual desktop runs on a double click: programs, scripts, installers, shortcuts, queries that fetch. Not
# "com": a present-day system runs only a PE under that name, which `attachment.kind` knows by its content.
BANNED_EXTENSIONS = (
    "ade", "adp", "appinstaller", "application", "appref-ms", "appx", "appxbundle", "bat", "chm", "cmd", "command",
    "cpl", "desktop", "diagcab", "diagcfg", "diagpkg", "dll", "dqy", "exe", "fxp", "gadget", "hlp", "hta", "inf",
    "ins", "iqy", "isp", "jar", "jnlp", "js", "jse", "lib", "library-ms", "lnk", "mad", "maf", "mam", "maq", "maw",
    "mde", "msc", "msh", "msh1", "msh2", "mshxml", "msi", "msix", "msixbundle", "msp", "mst", "msu", "ops", "oqy",
    "osd", "pcd", "pif", "plg", "prg", "ps1", "ps1xml", "ps2", "ps2xml", "psc1", "psc2", "psd1", "psm1", "pyw", "pyz",
    "pyzw", "rdp", "reg", "rqy", "scf", "scr", "sct", "search-ms", "searchconnector-ms", "settingcontent-ms", "shb",
    "slk", "sys", "terminal", "theme", "udl", "url", "vb", "vbe", "vbs", "vsmacros", "vsw", "vxd", "webpnp", "website",
    "wll", "workflow", "ws", "wsb", "wsc", "wsf", "wsh", "xbap", "xll", "xnk",
)  # fmt: skip
BANNED_KINDS = ("pe", "elf", "macho", "lnk", "java-class", "dex", "chm", "msi")
SHORTENERS = (
    "bit.ly", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "ow.ly", "rb.gy", "rebrand.ly", "s.id", "shorturl.at", "t.co",
    "t.ly", "tiny.cc", "tinyurl.com", "v.gd",
)  # fmt: skip


class Bounds(Section, frozen=True, kw_only=True):
    """``[parse]``: what one message may cost. Beyond any of them it is "over-limit". Sizes in bytes, decoded."""

    timeout_s: Seconds = 20  # of the clock, then its parse worker is killed: "not-inspected"
    seconds: Seconds = 10  # of the processor, then it is "over-limit"; below timeout_s
    memory_bytes: Annotated[
        int,
        Meta(
            ge=256 * MIB,
            le=64 * 1024 * MIB,
            description=(
                "Of one parse worker. While decoded contents of as many bytes, of all messages, wait for the virus"
                " engines, no further message is taken apart."
            ),
        ),
    ] = 1024 * MIB
    # They wait for nothing but the processor: more than two a core only take memory.
    max_concurrent: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Parse workers at a time, of all milter workers together; 0: two for each of those.",
        ),
    ] = 0
    depth: Annotated[int, Meta(ge=1, le=100)] = 16  # containers within each other
    parts: Annotated[int, Meta(ge=1, le=100_000)] = 5000  # MIME entities, those of attached mailboxes too
    entries: Annotated[int, Meta(ge=1, le=1_000_000)] = 5000  # members of containers, in all
    bytes: Annotated[int, Meta(ge=MIB, le=16 * 1024 * MIB)] = 200 * MIB  # unpacked, in all
    leaf_bytes: Annotated[int, Meta(ge=MIB, le=4096 * MIB)] = 100 * MIB  # one content
    ratio: Annotated[int, Meta(ge=2, le=100_000)] = 100  # unpacked to packed, counted from ratio_from on
    # A page that was scanned, or a picture of a screen, is as good as white: 3500 by 5000 points are 50 MB.
    ratio_from: Annotated[int, Meta(ge=0, le=1024 * MIB)] = 64 * MIB
    # As much takes each content rule half a second.
    text_bytes: Annotated[int, Meta(ge=1024, le=64 * MIB)] = 16 * MIB  # text that the content rules see
    passwords: Annotated[int, Meta(ge=0, le=1000)] = 20  # tried on an encrypted archive


class AttachmentSettings(Section, frozen=True, kw_only=True):
    """``[attachments]``: what may be attached. Extensions without the dot; kinds as `filterd stages` lists them."""

    banned_extensions: tuple[str, ...] = BANNED_EXTENSIONS
    banned_kinds: tuple[str, ...] = BANNED_KINDS
    banned_types: tuple[str, ...] = (
        "application/x-msdownload",
        "application/x-dosexec",
        "application/vnd.microsoft.portable-executable",
        "application/hta",
        "application/x-ms-shortcut",
    )
    max_count: Annotated[int, Meta(ge=0, le=100_000)] = 0  # attachments; 0: any number
    max_bytes: Annotated[int, Meta(ge=0)] = 0  # one attachment, decoded; 0: any size
    inside_archives: bool = True  # the bans also hold for members of archives and documents


class ContentRule(Section, frozen=True, kw_only=True):
    r"""``[[content]]``: one rule about decoded text. Its id is ``content.<name>``.

    ``where``: "subject", "body", "name" (file names, also inside archives) or "header:<Field>". ``pattern`` is a
    regular expression of Python's re, searched without regard to case unless ``case`` is set. One that takes for ever on
    some texts is refused; all rules together may take half of ``[parse] seconds``, then the message is "over-limit". A
    match of more than 32 KiB may be missed in a text of more than 128 KiB. A text is also searched as it is shown, with
    one blank for several, but plain text may be wrapped anywhere: ``\s+`` between words finds a phrase all the same.
    """

    name: Name
    pattern: Annotated[str, Meta(min_length=1, max_length=1000)]
    where: tuple[Annotated[str, Meta(pattern=r"\A(subject|body|name|header:[!-9;-~]{1,100})\Z")], ...] = (
        "subject",
        "body",
    )
    verdict: Literal["banned", "suspicious", "spam", "bulk"] = "banned"
    direction: Direction = "any"
    mode: Mode = "on"
    case: bool = False


class LinkSettings(Section, frozen=True, kw_only=True):
    """``[links]``: hosts whose links are never (``allowed``) or always (``shorteners``) reported."""

    allowed: tuple[str, ...] = ()
    shorteners: tuple[str, ...] = SHORTENERS


class Inspection(Section, frozen=True, kw_only=True):
    """All that a parse worker gets to know of the configuration. ``rules`` overrides the modes of rules."""

    parse: Bounds = Bounds()
    attachments: AttachmentSettings = AttachmentSettings()
    content: tuple[ContentRule, ...] = ()
    links: LinkSettings = LinkSettings()
    rules: dict[RuleId, Mode] = field(default_factory=dict)
