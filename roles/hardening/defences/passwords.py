"""Passwords: how they are made, kept, guessed at and grow old. sshd takes none; sudo, su and the console do."""

from roles.defence import Defence
from roles.kinds import FaillockOption, HostState, LoginDef, PwqualityOption

UPDATE = "DEBIAN_FRONTEND=noninteractive pam-auth-update --package"
# Prints "by hand" where pam-auth-update(8) leaves its files alone, as somebody else has changed them: it is asked itself, on a copy.
BY_HAND = (
    "d=$(mktemp -d) && trap 'rm -rf $d' EXIT && mkdir -p $d/etc $d/var/lib $d/usr/share && cp -a /etc/pam.d $d/etc/ && "
    "cp -a /var/lib/pam $d/var/lib/ && cp -a /usr/share/pam-configs $d/usr/share/ && printf '' >$d/debconf && "
    'DEBIAN_FRONTEND=noninteractive DEBCONF_DB_OVERRIDE="File{$d/debconf}" pam-auth-update --root $d --package 2>&1 | '
    "grep -q 'Local modifications' && echo by hand"
)
_INSIDE = "sshd asks no stranger for a password, so it is met at the console and by who is logged in."

DEFENCES = (
    Defence(
        id="hardening.password-hash",
        title="Passwords are kept by a hash that is slow to guess at",
        why="A copy of shadow gives the passwords away at the speed of the hash.",
        rows=("H08",),
        sets=(
            LoginDef("ENCRYPT_METHOD", "YESCRYPT"),
            LoginDef("YESCRYPT_COST_FACTOR", "7"),
            # For whatever still asks for SHA-512.
            LoginDef("SHA_CRYPT_MIN_ROUNDS", "65536"),
            LoginDef("SHA_CRYPT_MAX_ROUNDS", "65536"),
        ),
        unseen=_INSIDE,
        weight=4,
    ),
    Defence(
        id="hardening.password-quality",
        title="A new password is long and not in any dictionary",
        why="The password of an administrator is the last step to root for who has his key.",
        rows=("H08",),
        sets=(
            PwqualityOption("minlen", "15"),
            PwqualityOption("minclass", "4"),
            # At least one digit, capital, small letter and other sign; a length counts by itself alone.
            *(PwqualityOption(f"{kind}credit", "-1") for kind in ("d", "u", "l", "o")),
            PwqualityOption("maxrepeat", "3"),
            PwqualityOption("difok", "4"),
            PwqualityOption("dictcheck", "1"),
            PwqualityOption("usercheck", "1"),
            HostState(
                subject="what asks whether a new password is good",
                command="grep -ho '^password.*pam_pwquality.so' /etc/pam.d/common-password | tr -s '[:blank:]' ' '",
                value="password requisite pam_pwquality.so",
                remedy=UPDATE,
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="New passwords have at least 15 characters of four kinds.",
        weight=4,
    ),
    Defence(
        id="hardening.password-history",
        title="A former password does not come back",
        why="Who learned the old one tries it again.",
        rows=("H08",),
        sets=(
            HostState(
                subject="what remembers former passwords",
                command="grep -ho 'pam_pwhistory.so .*' /etc/pam.d/common-password",
                value="pam_pwhistory.so remember=24 enforce_for_root use_authtok",
                remedy=UPDATE,
            ),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="The last 24 passwords of an account are refused when it gets a new one.",
        weight=2,
    ),
    Defence(
        id="hardening.password-age",
        title="Passwords grow old, and are changed once a day at most",
        why="A password that leaked unnoticed stops working one day, and the history cannot be run through in a minute.",
        rows=("H08",),
        sets=(
            LoginDef("PASS_MAX_DAYS", "365"),
            LoginDef("PASS_MIN_DAYS", "1"),
            LoginDef("PASS_WARN_AGE", "14"),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Accounts that are made from now on change their password once a year; those that are there keep their terms.",
        weight=2,
    ),
    Defence(
        id="hardening.password-tries",
        title="An account is locked for a quarter of an hour after five wrong passwords",
        why="Guessing goes on for days where nothing counts it.",
        rows=("H08",),
        sets=(
            FaillockOption("deny", "5"),
            FaillockOption("unlock_time", "900"),
            FaillockOption("fail_interval", "900"),
            HostState(
                subject="what counts wrong passwords",
                command="grep -ho '^[a-z].*pam_faillock.so.*' /etc/pam.d/common-auth /etc/pam.d/common-account | tr -s '[:blank:]' ' ' | "
                "sed 's/ *$//'",
                value="auth requisite pam_faillock.so preauth\n"
                "auth [default=die] pam_faillock.so authfail\n"
                "account required pam_faillock.so",
                remedy=UPDATE,
            ),
            LoginDef("LOGIN_RETRIES", "3"),
            LoginDef("LOGIN_TIMEOUT", "30"),
        ),
        unseen=_INSIDE,
        level="moderate",
        cost="Five typing errors at sudo or the console lock the account for 15 minutes; `faillock --user NAME --reset` opens it.",
        weight=5,
    ),
)
