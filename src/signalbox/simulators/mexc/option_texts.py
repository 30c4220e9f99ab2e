"""Options of the simulated MEXC as an operator writes them: a JSON file, and short texts on the command line."""

import msgspec
from msgspec import structs

from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc.options import BadOptions, SimulatorOptions, Switches


def options_from_json(text: bytes) -> SimulatorOptions:
    """Every field of `SimulatorOptions`. Raises BadOptions naming the field that is wrong."""
    try:
        return msgspec.json.decode(text, type=SimulatorOptions)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadOptions(f"the options are not valid: {error}") from error


def fault_from_text(text: str) -> Fault:
    """A fault from KIND or KIND:key=value,key=value. `where.NAME=value` narrows it down, `times=none` never ends.

    Raises BadOptions naming what is wrong.
    """
    kind, _, rest = text.partition(":")
    fields: dict[str, object] = {"kind": kind}
    where: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        name, value = _named(part, f"fault {text!r}")
        if name.startswith("where."):
            where[name.removeprefix("where.")] = value
        else:
            fields[name] = None if value == "none" else value
    try:
        return msgspec.convert(fields | {"where": where}, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise BadOptions(f"fault {text!r}: {error}") from error


def switched(switches: Switches, texts: list[str]) -> Switches:
    """`switches` with NAME=value applied, each. Raises BadOptions naming what is wrong."""
    for text in texts:
        name, value = _named(text, f"switch {text!r}")
        if name not in Switches.__struct_fields__:
            known = ", ".join(sorted(Switches.__struct_fields__))
            raise BadOptions(f"switch {text!r}: there is no switch {name!r}; there are {known}")
        changed = structs.asdict(switches) | {name: None if value == "none" else value}
        try:
            switches = msgspec.convert(changed, Switches, strict=False)
        except msgspec.ValidationError as error:
            raise BadOptions(f"switch {text!r}: {error}") from error
    return switches


def _named(part: str, what: str) -> tuple[str, str]:
    name, separator, value = part.partition("=")
    if not separator or not name:
        raise BadOptions(f"{what}: {part!r} is not of the form name=value")
    return name.strip(), value.strip()
