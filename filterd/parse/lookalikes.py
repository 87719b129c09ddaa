"""Host names that look like others: letters of other scripts, digits for letters, pairs that read as one letter."""

import re
import unicodedata
from functools import lru_cache
from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Suffixes of two labels under which the public registers; the usual ones.
TWO_LEVELS: Final = _names(
    "co.uk org.uk me.uk ltd.uk plc.uk net.uk ac.uk gov.uk nhs.uk sch.uk com.au net.au org.au edu.au gov.au id.au"
    " co.nz net.nz org.nz govt.nz ac.nz co.za org.za net.za gov.za ac.za com.br net.br org.br gov.br com.ar com.mx"
    " com.co com.pe com.ve com.uy com.ec com.tr org.tr gov.tr edu.tr co.jp ne.jp or.jp ac.jp go.jp co.kr or.kr ac.kr"
    " go.kr com.cn net.cn org.cn gov.cn edu.cn com.hk org.hk com.tw org.tw com.sg edu.sg com.my com.ph com.vn co.th"
    " co.id or.id go.id co.in net.in org.in gov.in ac.in com.pk com.bd com.np com.lk co.il org.il ac.il gov.il com.sa"
    " com.eg com.ng co.ke com.gh com.ua net.ua org.ua com.pl net.pl org.pl com.ru co.at or.at ac.at gv.at com.pt com.es"
    " com.gr com.cy com.mt com.ro co.hu com.hr github.io gitlab.io pages.dev workers.dev web.app firebaseapp.com"
    " herokuapp.com netlify.app vercel.app azurewebsites.net windows.net cloudfront.net amazonaws.com blogspot.com"
)
# Of the top-level domains, those that stand in mail; endings that are rather those of files are left out.
TOP_LEVELS: Final = _names(
    "com net org info biz edu gov mil int eu uk de fr it es nl be at ch li lu dk se fi ee lv lt cz sk hu ro bg gr pt"
    " ie us ca mx br ar cl co jp cn kr tw hk sg th vn id au nz za ng ke eg tr il ae sa ru ua by kz io app dev bank"
    " online shop site xyz top club cloud store tech live link click support pro mobi name example test is no me my"
)
# What phishing imitates most; the operator's own names come from the message.
_IMITATED: Final = _names(
    "paypal google microsoft office outlook apple icloud amazon facebook instagram whatsapp linkedin netflix ebay"
    " dropbox docusign adobe dhl fedex usps chase wellsfargo citibank barclays hsbc santander coinbase binance"
    " blockchain steam github gmail yahoo telekom postbank sparkasse commerzbank deutschebank hermes amex visa"
)
# Letters that are taken for Latin ones (a choice of Unicode's confusables, UTS 39 4).
_ALIKE: Final = {
    **dict(zip("аеорсухіјѕһԁԛԝӏькмтгпвз", "aeopcyxijshdqwlbkmtrnb3", strict=True)),
    **dict(zip("αοενρτυικχγηωσβδ", "aoevptuikxynwobd", strict=True)),
    **dict(zip("օսհցոզյլ", "ouhgnqjl", strict=True)),
    **dict(zip("ɑɡıɩɪɴłøđħŧʋɢ", "agiiinlodhtvg", strict=True)),
}
_ALIKE_TABLE: Final = str.maketrans(_ALIKE)
_DIGITS: Final = str.maketrans("013457", "oleast")
_ONE_SCRIPT: Final = _names("CYRILLIC GREEK ARMENIAN CHEROKEE COPTIC GEORGIAN")


@lru_cache(maxsize=4096)
def skeleton(label: str) -> str:
    """Return what a label looks like at a glance: two that look alike have the same (after UTS 39 4)."""
    if not label.isascii():
        plain = unicodedata.normalize("NFD", label.translate(_ALIKE_TABLE))
        label = "".join(one for one in plain if not unicodedata.combining(one)).translate(_ALIKE_TABLE)
    return label.replace("rn", "m").replace("vv", "w").translate(_DIGITS).replace("i", "l")


_BY_SKELETON: Final = {skeleton(name): name for name in sorted(_IMITATED)}


@lru_cache(maxsize=4096)
def imitated(host: str, domains: frozenset[str]) -> str:
    """Return what a host (decoded, lower case) looks like without being it, or "".

    ``domains`` are the registered domains of the message's correspondents. The answer is one of them, a name that is
    often imitated, or "mixed scripts" / "letters of another script" where a label alone gives it away.
    """
    *labels, top = host.split(".")
    for label in labels:
        if not label.isascii() and (reason := _betrayed(label, top)):
            return reason
        seen = skeleton(label)
        if (known := _BY_SKELETON.get(seen, "")) and known != label and known not in re.split(r"[-_]", label):
            return known
    domain = ".".join(host.split(".")[-2:])
    whole = skeleton(domain)
    return next(
        (
            known
            for known in sorted(domains)
            if known != domain and skeleton(known) == whole and known not in host
        ),
        "",
    )


def _betrayed(label: str, top: str) -> str:
    scripts = {unicodedata.name(one, "?").partition(" ")[0] for one in label if one.isalpha()}
    if len(scripts) > 1 and scripts & _ONE_SCRIPT:
        return "mixed scripts"
    foreign = scripts and scripts <= _ONE_SCRIPT
    if foreign and top.isascii() and label.translate(_ALIKE_TABLE).isascii():
        return "letters of another script"
    return ""
