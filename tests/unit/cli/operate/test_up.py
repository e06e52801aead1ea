"""What `tierline up` shows once everything answers."""

from pathlib import Path

from tierline.cli.operate.up import in_words
from tierline.stack.home import Home
from tierline.stack.running import Addresses


def test_a_password_is_whole_on_a_line_of_80_columns(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    password = home.secret("flower")
    addresses = Addresses(
        api="http://127.0.0.1:60847",
        flower="http://127.0.0.1:34847",
        api_key="tl_key",
        flower_user="tierline",
        flower_password=password,
        database_url="",
        redis_url="",
    )
    text = in_words(addresses, Path("/home/somebody/.local/share/tierline"))
    assert f"  password {password}" in text.splitlines()
    assert max(map(len, text.splitlines())) <= 80
    assert "tl_key" not in text  # its file is named
