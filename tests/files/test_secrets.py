"""What looks like a secret."""

import pytest

from runner.files import secrets

ADDRESSES = {  # {address: the same without what nobody else should read}
    "https://me:p4ss@host/x": "https://host/x",
    "https://ghtoken@host/x": "https://host/x",
    "postgresql+psycopg2://me:p4ss@host/db": "postgresql+psycopg2://host/db",
    "https://host/x?a=1&token=abc&b=2": "https://host/x?a=1&token=***&b=2",
    "https://host/x?X-Amz-Signature=abc": "https://host/x?X-Amz-Signature=***",
    "https://host/x?password=abc": "https://host/x?password=***",
}
HARMLESS = [
    "https://host:5000/a@b",
    "postgresql://me@host/db",
    "s3://bucket/x",
    "me@example.org",
    "a?b=c",
    "/x@y:z/data.csv",
]
TEXTS = [
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "key = AKIAIOSFODNN7EXAMPLE",
    'password = "correct-horse"',
    "api_key: 3f9a8b7c6d5e4f3a",
    "'token': 'abcdefghijkl'",
    "git clone https://me:p4ss@host/x",
]
CODE = [
    "token = tokenizer(text)",
    "num_tokens: 10000000",
    "password = os.environ['PASSWORD']",
    "secret: ${oc.env:SECRET_TOKEN}",
    "tokens = data.tokens[start:end]",
    "tokenizer: word2vec_like",
    "max_tokens=limit_2",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_credentials_are_left_out_of_addresses(address):
    assert secrets.in_address(f"see {address}")
    assert secrets.without_credentials(address) == ADDRESSES[address]


@pytest.mark.parametrize("text", [*HARMLESS, "https://${oc.env:WHO}@host"])
def test_addresses_without_credentials_stay(text):
    assert not secrets.in_address(text)
    assert "$" in text or secrets.without_credentials(text) == text


@pytest.mark.parametrize("text", TEXTS)
def test_texts_with_a_secret(text):
    assert secrets.in_text(f"x = 1\n+{text}\ny = 2\n")


@pytest.mark.parametrize("text", CODE)
def test_ordinary_code_is_no_secret(text):
    assert not secrets.in_text(f"x = 1\n+{text}\ny = 2\n")


def test_names_of_files():
    for name in (
        ".env",
        ".env.production",
        "prod.env",
        "id_ed25519",
        "a/b.pem",
        ".netrc",
        "api_key.txt",
        "secrets/x.yaml",
    ):
        assert secrets.names_a_secret(name), name
    for name in ("environment.yaml", "tokenizers.py", "src/token.py", "keys.yaml", "passage.csv", "secretary.yaml"):
        assert not secrets.names_a_secret(name), name


def test_the_value_of_a_variable_that_is_called_like_a_secret(monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "blue-elephant")
    assert secrets.in_text("it is blue-elephant")
    monkeypatch.setenv("MY_SERVICE_TOKEN", "abc")
    assert not secrets.in_text("abc")
