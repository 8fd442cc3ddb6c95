"""What looks like a secret, and so is neither written nor printed: in an address, in a text, as the name of a file."""

import os
import re
from pathlib import PurePath

WORDS = r"(?:pass(?:word|wd|phrase)|secrets?|credentials?|(?:api|access|private|auth)[_-]?(?:key|token)|tokens?)"
# USER:PASSWORD@ in any address, TOKEN@ in one of the web; a user name alone, as in postgresql://me@host, is no secret
ADDRESS = re.compile(
    r"(?P<start>https?://|\w[\w+.-]*://(?=[^/?#\s\"'<>@]*:))(?P<who>[^/?#\s\"'<>]+)@"
    rf"|(?P<key>[?&](?:[\w-]*{WORDS}|key|sig|[\w-]*signature)=)(?P<value>[^&#\s\"']+)",
    re.I,
)
FILE = re.compile(
    r"\.env(\..*)?|.*\.(env|pem|key|p12|pfx|jks|kdbx)|id_(rsa|dsa|ecdsa|ed25519)"
    r"|\.?(netrc|pypirc|npmrc|pgpass|git-credentials|htpasswd)"
    rf"|(.*[^a-z0-9])?{WORDS}([^a-z0-9].*)?",
    re.I,
)
TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:AKIA[0-9A-Z]{16}|gh[a-z]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{20,}|sk-[\w-]{20,}"
    r"|xox[a-z]-[\w-]{10,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,})"
    rf"|(?<![a-z]){WORDS}[\"']?\s*[:=]\s*"
    r"(?:[\"'][^\s\"'$]{8,}[\"']|(?=\S*\d)(?=\S*[a-z])[^\s\"'$()\[\]{}.,]{8,}\s*$)",
    re.I | re.M,
)
SOURCE = (".py", ".pyi", ".pyx", ".c", ".cc", ".cpp", ".cu", ".h")  # endings of files that may be called as they like
NAME = re.compile(rf"(.*_)?({WORDS}|KEY)(_.*)?", re.I)  # of an environment variable
SHORTEST = 6  # characters of a secret in the environment; shorter ones occur in any text


def in_address(text: str) -> bool:
    """Whether an address in the text holds a user name, a password or a token."""
    return any("${" not in (found["who"] or found["value"]) for found in ADDRESS.finditer(text))


def without_credentials(text: str) -> str:
    """Return the text with user names, passwords and tokens left out of the addresses in it."""
    return ADDRESS.sub(lambda found: found["start"] or f"{found['key']}***", text)


def names_a_secret(path: str) -> bool:
    """Whether a file or one of its folders is called as those with secrets are: .env, id_rsa; token.py is just code."""
    return not path.endswith(SOURCE) and any(FILE.fullmatch(part) for part in PurePath(path).parts)


def in_text(text: str) -> bool:
    """Whether a text holds a key, a password, or the value of an environment variable that is called like one."""
    known = (value for name, value in os.environ.items() if NAME.fullmatch(name) and len(value) >= SHORTEST)
    return bool(TEXT.search(text)) or in_address(text) or any(value in text for value in known)
