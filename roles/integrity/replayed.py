"""Look at each host of an inventory by the control host's copy: `pyinfra INVENTORY roles/integrity/replayed.py -y`; see replaying.py."""

import os
from collections.abc import Generator
from io import BytesIO, StringIO
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileDownloadCommand, FileUploadCommand, FunctionCommand, StringCommand, operation

from roles.connection import quietly
from roles.integrity import copies
from roles.integrity.paths import FILES
from roles.integrity.programs import program
from roles.integrity.replaying import ANSWERS
from roles.operations import plainly
from roles.settings import Gateway

_PLACE = "/run/bastide-replay"


@operation()
def looked(
    copy: Path, answers: Path
) -> Generator[StringCommand | FileUploadCommand | FileDownloadCommand | FunctionCommand, None, None]:
    """Bring the copy and the program that looks to the host, look there, and fetch what was found."""
    programs = program(f"{_PLACE}/program")
    folders = sorted({str(Path(each.path).parent) for each in programs})
    yield plainly(f"rm -rf {_PLACE}; mkdir -p {_PLACE}/copy {_PLACE}/to {' '.join(folders)}")
    for each in programs:
        yield FileUploadCommand(StringIO(each.content), each.path)
    for name, content in (copies.held(copy) or {}).items():
        yield FileUploadCommand(BytesIO(content), f"{_PLACE}/copy/{name}")
    run = f"/usr/bin/python3 -I -B {_PLACE}/program replay --json {_PLACE}/copy {_PLACE}/to"
    yield plainly(
        f"{{ {run} 2>&1 && echo 0 || echo $?; }} >{_PLACE}/said; touch {' '.join(f'{_PLACE}/to/{name}' for name in FILES)}"
    )
    said, seen = BytesIO(), {name: BytesIO() for name in FILES}
    yield FileDownloadCommand(f"{_PLACE}/said", said)
    for name, into in seen.items():
        yield FileDownloadCommand(f"{_PLACE}/to/{name}", into)
    yield plainly(f"rm -rf {_PLACE}")
    yield FunctionCommand(_answered, (answers, said, seen), {})


def _answered(answers: Path, said: BytesIO, seen: dict[str, BytesIO]) -> None:
    """Leave what was found to who asked, the answer last."""
    answers.mkdir(parents=True)
    for name, content in seen.items():
        (answers / name).write_bytes(content.getvalue())
    (answers / "said").write_bytes(said.getvalue())


quietly(host)
_data: dict[str, object] = host.data.dict()  # type: ignore[no-untyped-call] # pyinfra leaves it untyped
_gateway = Gateway.of(_data)
looked(
    name="Look by the control host's copy",
    copy=copies.place(_gateway.integrity.copies, host.name),
    answers=Path(os.environ[ANSWERS], host.name.replace("/", "_")),
)
